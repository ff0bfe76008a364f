// The softphone: it goes online with a token from the app, and places and takes calls with Twilio's SDK.

import { offerToForget, request } from "./api.js";
import { $, announce, el, follow, setText } from "./dom.js";
import { EXPIRED_CODES, REFUSED_CODES, inWords, warningInWords } from "./problems.js";
import { sounds } from "./tones.js";

const LETTERS = { 2: "ABC", 3: "DEF", 4: "GHI", 5: "JKL", 6: "MNO", 7: "PQRS", 8: "TUV", 9: "WXYZ", 0: "+" };
const KEYS = [..."123456789*0#"];
const KEY_NAMES = { "*": "star", "#": "pound" };
const RETRY = 5_000;

let device = null;
let call = null;
let answered = null;
let ticking = null;
let refreshing = null;
const warnings = new Set();
const tones = sounds();

const phone = document.querySelector('meta[name="phone"]').content;
if (phone) {
  $("laptop-phone").href = phone;
  setText($("laptop-phone"), phone);
  $("laptop").hidden = false;
} else {
  $("softphone").hidden = false;
}

function status(text) {
  setText($("status"), text);
  document.title = `${text} – Switchboard`;
}

function complain(error) {
  setText($("problem"), error ? inWords(error) : "");
}

// Online and offline

async function goOnline() {
  $("online").disabled = true;
  complain(null);
  status("Connecting");
  try {
    await mayHear();
    const grant = await request("POST", "token");
    offerToForget();
    const { Device } = await import("./voice-sdk.js");
    const lasts = new Date(grant.expires_at) - Date.now();
    device = new Device(grant.token, {
      appName: "switchboard",
      closeProtection: true,
      codecPreferences: ["opus", "pcmu"],
      enableImprovedSignalingErrorPrecision: true,
      logLevel: "silent",
      sounds: tones,
      tokenRefreshMs: Math.min(60_000, lasts / 4),
    });
    setText($("identity"), `You are ${grant.identity}`);
    device.on("registered", onRegistered);
    device.on("unregistered", onUnregistered);
    device.on("incoming", onIncoming);
    device.on("error", onError);
    device.on("tokenWillExpire", () => refreshToken());
    device.audio.on("deviceChange", showDevices);
    await device.register();
  } catch (error) {
    goOffline();
    complain(error);
  } finally {
    $("online").disabled = false;
  }
}

/** Ask for the microphone before anybody calls. Without permission, a browser does not even name it. */
async function mayHear() {
  if (!navigator.mediaDevices) throw new Error("This page must be opened over https: a browser gives no microphone to any other.");
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  for (const track of stream.getTracks()) track.stop();
}

function goOffline() {
  clearTimeout(refreshing);
  device?.destroy();
  device = null;
  ended();
  for (const id of ["offline", "dial", "keypad", "devices"]) $(id).hidden = true;
  $("online").hidden = false;
  setText($("identity"), "");
  status("Offline");
}

function onRegistered() {
  complain(null);
  $("online").hidden = true;
  for (const id of ["offline", "keypad", "devices"]) $(id).hidden = false;
  $("dial").hidden = Boolean(call);
  if (!call) status("Ready");
  showDevices();
}

function onUnregistered() {
  // The SDK tries again by itself.
  if (!call) status("Reconnecting");
}

async function refreshToken() {
  clearTimeout(refreshing);
  try {
    const grant = await request("POST", "token");
    device?.updateToken(grant.token);
    if (device?.state === "unregistered") await device.register();
    complain(null);
  } catch (error) {
    complain(error);
    refreshing = setTimeout(refreshToken, RETRY);
  }
}

function onError(error) {
  if (EXPIRED_CODES.includes(error.code)) return refreshToken();
  if (REFUSED_CODES.includes(error.code)) goOffline();
  complain(error);
}

// Calls

async function place(to, words) {
  complain(null);
  try {
    const outgoing = await device.connect({ params: { To: to } });
    during(outgoing, words);
    status("Calling");
  } catch (error) {
    complain(error);
  }
}

function onIncoming(incoming) {
  const from = incoming.parameters.From ?? "unknown";
  const dialog = $("incoming");
  setText($("incoming-from"), shownParty(from));
  $("answer").onclick = () => {
    dialog.close();
    during(incoming, from);
    status("Connecting");
    incoming.accept();
  };
  $("decline").onclick = () => {
    dialog.close();
    incoming.reject();
    status("Ready");
  };
  incoming.on("cancel", () => {
    dialog.close();
    if (!call) status("Ready");
    announce("They have hung up.");
  });
  incoming.on("error", complain);
  status(`${shownParty(from)} is calling`);
  if (!dialog.open) dialog.showModal();
  // Do not focus a button: a key that somebody is just pressing must not answer the call.
  $("incoming-title").focus();
}

/** A number, or the name of a client. */
const shownParty = (party) => party.replace(/^client:/, "");

/** Show a call, and follow it to its end. */
function during(current, party) {
  call = current;
  answered = null;
  warnings.clear();
  showWarnings();
  setText($("with"), shownParty(party));
  setText($("clock"), "");
  muted(false);
  $("dial").hidden = true;
  $("in-call").hidden = false;
  $("hang-up").focus();
  current.on("ringing", () => status("Ringing"));
  current.on("accept", () => {
    answered = Date.now();
    status("In a call");
    ticking = setInterval(tick, 1000);
    tick();
  });
  current.on("mute", muted);
  current.on("volume", (input) => {
    $("level").value = input;
  });
  current.on("warning", (name) => {
    warnings.add(name);
    showWarnings();
  });
  current.on("warning-cleared", (name) => {
    warnings.delete(name);
    showWarnings();
  });
  current.on("reconnecting", () => status("Reconnecting the call"));
  current.on("reconnected", () => status("In a call"));
  current.on("error", (error) => complain(error));
  for (const end of ["disconnect", "cancel", "reject"]) current.on(end, () => call === current && ended(true));
}

function ended(isNews = false) {
  clearInterval(ticking);
  const length = answered ? ` It took ${clock()}.` : "";
  call = null;
  answered = null;
  warnings.clear();
  $("in-call").hidden = true;
  $("incoming").close();
  if (!isNews) return;
  announce(`The call has ended.${length}`);
  const isOnline = device?.state === "registered";
  $("dial").hidden = !isOnline;
  status(isOnline ? "Ready" : "Reconnecting");
  $("to").focus();
}

const clock = () => {
  const seconds = Math.floor((Date.now() - answered) / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
};

function tick() {
  setText($("clock"), clock());
}

function muted(isMuted) {
  $("mute").setAttribute("aria-pressed", String(isMuted));
}

function showWarnings() {
  follow($("warnings"), [...warnings], (name) => name, () => {
    const item = el("li");
    item.update = (name) => setText(item, warningInWords(name));
    return item;
  });
}

// Keys

/** In a call, the other end hears the key. Before a call, the key goes into the number. */
function press(key) {
  if (call) return call.sendDigits(key);
  $("to").value += key;
}

$("keypad").append(
  ...KEYS.map((key) =>
    el(
      "button",
      { type: "button", "aria-label": KEY_NAMES[key], on: { click: () => press(key) } },
      key,
      ...(LETTERS[key] ? [" ", el("small", { textContent: LETTERS[key] })] : []),
    ),
  ),
);
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, select, dialog");
  if (call && !isTyping && KEYS.includes(event.key) && !event.ctrlKey && !event.metaKey && !event.altKey) press(event.key);
});

// Devices

const CHOICES = [
  ["microphone", () => device.audio.availableInputDevices, (id) => device.audio.setInputDevice(id)],
  ["speaker", () => device.audio.availableOutputDevices, (id) => device.audio.speakerDevices.set(id)],
  ["ringer", () => device.audio.availableOutputDevices, (id) => device.audio.ringtoneDevices.set(id)],
];

function showDevices() {
  for (const [id, devices] of CHOICES) {
    const select = $(id);
    const before = select.value;
    const options = [...devices().values()].map(({ deviceId, label }) => el("option", { value: deviceId, textContent: label || "Default" }));
    select.replaceChildren(...options);
    if (options.some((option) => option.value === before)) select.value = before;
  }
  const canChoose = device.audio.isOutputSelectionSupported;
  for (const id of ["speaker-choice", "ringer-choice"]) $(id).hidden = !canChoose;
}

for (const [id, , choose] of CHOICES) {
  $(id).addEventListener("change", async () => {
    try {
      await choose($(id).value);
    } catch (error) {
      complain(error);
    }
  });
}
$("test").addEventListener("click", () => device.audio.speakerDevices.test(tones.outgoing).catch(complain));

// Buttons

$("online").addEventListener("click", goOnline);
$("offline").addEventListener("click", goOffline);
$("dial").addEventListener("submit", (event) => {
  event.preventDefault();
  const to = $("to").value.trim();
  if (to) place(to, to);
});
$("next").addEventListener("click", () => place("queue", "the next caller in line"));
$("mute").addEventListener("click", () => call?.mute(!call.isMuted()));
$("hang-up").addEventListener("click", () => {
  call?.disconnect();
  if (call?.status() === "pending") ended(true);
});
$("incoming").addEventListener("cancel", (event) => event.preventDefault());
offerToForget();
