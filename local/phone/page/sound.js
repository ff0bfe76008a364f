// Sound: the browser's voices and its speech recognition, if it has them.

const voices = globalThis.speechSynthesis;
const Recognition = globalThis.SpeechRecognition ?? globalThis.webkitSpeechRecognition;

export const canListen = Boolean(Recognition);

export function speak(text, language, times = 1) {
  if (!voices) return;
  for (let i = 0; i < Math.min(times, 5); i++) {
    const utterance = new SpeechSynthesisUtterance(text);
    utterance.lang = language;
    voices.speak(utterance);
  }
}

export function hush() {
  voices?.cancel();
}

// Calls heard(text) when something was understood, and done() in any case.
export function listen(language, heard, done) {
  const recognition = new Recognition();
  recognition.lang = language;
  recognition.addEventListener("result", (event) => heard(event.results[0][0].transcript));
  recognition.addEventListener("end", done);
  recognition.addEventListener("error", done);
  recognition.start();
}
