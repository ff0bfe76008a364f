// The sounds of a telephone. They are made here, since the SDK fetches its own from another host.

const RATE = 8000;
const KEYS = {
  1: [697, 1209], 2: [697, 1336], 3: [697, 1477],
  4: [770, 1209], 5: [770, 1336], 6: [770, 1477],
  7: [852, 1209], 8: [852, 1336], 9: [852, 1477],
  s: [941, 1209], 0: [941, 1336], h: [941, 1477],
};

/** The `sounds` of the SDK's Device: a URL for each name. */
export function sounds() {
  const dtmf = Object.entries(KEYS).map(([key, pitches]) => [`dtmf${key}`, tone(pitches, [0.15], 0.05)]);
  return {
    incoming: tone([440, 480], [1.2, 0.3, 1.2], 2.3),
    outgoing: tone([440, 480], [0.25], 0.1),
    disconnect: tone([480, 620], [0.2, 0.15, 0.2], 0.1),
    ...Object.fromEntries(dtmf),
  };
}

/** A WAV file of two pitches (Hz): on, off, on... for so many seconds each, then silence (s). */
function tone(pitches, parts, silence) {
  const samples = [];
  for (const [index, seconds] of [...parts, ...(parts.length % 2 ? [silence] : [])].entries()) {
    const count = Math.round(seconds * RATE);
    for (let each = 0; each < count; each += 1) {
      // The tone swells and fades a little, so that it does not click.
      const edge = Math.min(1, each / 80, (count - each) / 80);
      const wave = pitches.reduce((sum, pitch) => sum + Math.sin((2 * Math.PI * pitch * each) / RATE), 0);
      samples.push(index % 2 ? 128 : Math.round(128 + 50 * edge * (wave / pitches.length)));
    }
  }
  const file = new DataView(new ArrayBuffer(44 + samples.length));
  const text = (at, word) => [...word].forEach((letter, index) => file.setUint8(at + index, letter.charCodeAt(0)));
  text(0, "RIFF");
  file.setUint32(4, 36 + samples.length, true);
  text(8, "WAVEfmt ");
  file.setUint32(16, 16, true); // the length of what follows
  file.setUint16(20, 1, true); // PCM
  file.setUint16(22, 1, true); // one channel
  file.setUint32(24, RATE, true);
  file.setUint32(28, RATE, true); // bytes a second
  file.setUint16(32, 1, true); // bytes a sample
  file.setUint16(34, 8, true); // bits
  text(36, "data");
  file.setUint32(40, samples.length, true);
  samples.forEach((sample, index) => file.setUint8(44 + index, sample));
  return URL.createObjectURL(new Blob([file.buffer], { type: "audio/wav" }));
}
