// The console: it chooses the view, searches, and refreshes what it shows.

import { offerToForget, request } from "./api.js";
import * as calls from "./calls.js";
import { compose } from "./compose.js";
import { $, announce } from "./dom.js";
import * as letters from "./letters.js";
import { Live } from "./live.js";
import { showMessage } from "./message.js";
import * as number from "./number.js";
import * as overview from "./overview.js";
import * as upload from "./upload.js";
import { playRecording, RECORDING } from "./recording.js";

const MESSAGE_ID = /^[0-9a-f]{32}$/;
const NUMBER = /^(whatsapp:)?\+?[\d ().\-/]{5,}$/;

const VIEWS = {
  overview: overview.load,
  number: number.load,
  calls: () => calls.load(showNumber),
  letters: letters.load,
  upload: async () => false,
};

let view = "overview";

const live = new Live(async () => {
  const isNew = await VIEWS[view]();
  offerToForget();
  return isNew;
});

function show(name, { focus = true } = {}) {
  view = name;
  for (const each of Object.keys(VIEWS)) $(each).hidden = each !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const heading = $(`${name}-title`);
  document.title = `${heading.textContent || "Number"} – Switchboard`;
  if (focus) heading.focus();
  live.now();
}

function follow(focus = true) {
  const name = location.hash.slice(1);
  if (name === "main") return;
  const recording = RECORDING.exec(name);
  if (recording) playRecording(recording[1]);
  const known = name in VIEWS && (name !== "number" || number.chosen());
  show(known ? name : "overview", { focus });
}

function showNumber(wanted) {
  number.choose(wanted);
  if (location.hash === "#number") show("number");
  else location.hash = "#number";
}

async function search(wanted) {
  if (MESSAGE_ID.test(wanted)) return showMessage(await request("GET", `messages/${wanted}`), () => live.now());
  if (NUMBER.test(wanted)) {
    // Ask here first: if it is no number, the page says so before the view changes.
    const { to } = await request("POST", "recipients/timeline", { json: { to: wanted } });
    return showNumber(to);
  }
  const call = await request("GET", `calls/${encodeURIComponent(wanted)}`);
  const person = call.direction === "inbound" ? call.from : call.to;
  if (person?.startsWith("+")) return showNumber(person);
  location.hash = "#calls";
}

$("search").addEventListener("submit", async (event) => {
  event.preventDefault();
  const wanted = $("wanted").value.trim();
  if (!wanted) return;
  $("wanted").setCustomValidity("");
  try {
    await search(wanted);
  } catch (error) {
    $("wanted").setCustomValidity(error.status === 404 ? "There is no such number, message or call." : error.message);
    $("wanted").reportValidity();
    announce($("wanted").validationMessage);
  }
});
$("wanted").addEventListener("input", () => $("wanted").setCustomValidity(""));
$("compose").addEventListener("click", () => compose({ done: () => live.now() }));
$("compose-to").addEventListener("click", () => compose({ to: number.chosen(), done: () => live.now() }));
addEventListener("hashchange", () => follow());
document.addEventListener("number", (event) => showNumber(event.detail));
for (const part of [overview, number, letters]) part.start(() => live.now());
upload.start();
follow(false);
