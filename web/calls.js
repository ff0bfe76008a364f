// The calls of the last day, and who waits in line.

import { Refused, request } from "./api.js";
import { badge, timeElement } from "./cells.js";
import { $, el, follow, setText } from "./dom.js";
import { plural } from "./words.js";

let shown = "";

const DAY = 86_400_000;

/** The calls of the last day, the last accepted first; the newest hundred of them. */
async function loadCalls() {
  const after = new Date(Date.now() - DAY).toISOString();
  return (await request("GET", `calls?${new URLSearchParams({ after, limit: 100 })}`)).calls;
}

/** showNumber(number): called when somebody wants the timeline of a number. */
export async function load(showNumber) {
  const [items, line] = await Promise.all([loadCalls(), loadLine()]);
  const open = items.filter((call) => ["pending", "posting"].includes(call.state)).length;
  setText($("calls-hint"), `${plural(items.length, "call")}${open ? `, ${open} of them still to be placed` : ""}`);
  follow($("call-list"), items, (call) => call.id, () => row(showNumber));
  const signature = JSON.stringify([items, line]);
  const isNew = signature !== shown;
  shown = signature;
  return isNew;
}

/** Only Twilio knows the line. If it does not answer, the page shows the calls all the same. */
async function loadLine() {
  try {
    const line = await request("GET", "line");
    showLine(line);
    return line;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    setText($("line-hint"), `The waiting line cannot be shown: ${error.message}.`);
    $("line").replaceChildren();
    return error.message;
  }
}

function showLine(line) {
  const wait = line.average_wait ? `, ${minutes(line.average_wait)} on average` : "";
  setText($("line-hint"), line.size ? `${plural(line.size, "caller")} waiting${wait}` : "Nobody is waiting.");
  follow($("line"), line.members, (member) => member.call_sid, () => {
    const item = el("li");
    item.update = (member) => {
      setText(item, `${member.from} – waiting for ${minutes(member.wait)}`);
    };
    return item;
  });
}

const minutes = (seconds) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;

function row(showNumber) {
  const time = timeElement();
  const other = el("button", { type: "button", class: "link" });
  const plain = el("span");
  const direction = el("td");
  const state = badge();
  const reason = el("span", { class: "reason" });
  const length = el("td", { class: "number" });
  const item = el("tr", {}, el("td", {}, time), el("td", {}, other, plain), direction, el("td", {}, state, reason), length);
  item.update = (call) => {
    const person = (call.direction === "inbound" ? call.from : call.to) ?? "";
    const isNumber = person.startsWith("+");
    time.update(call.created_at);
    other.hidden = !isNumber;
    setText(other, isNumber ? person : "");
    other.onclick = () => showNumber(person);
    setText(plain, isNumber ? "" : person || "unknown");
    setText(direction, call.direction);
    state.update(call.state);
    setText(reason, call.reason ?? "");
    setText(length, call.duration ? minutes(call.duration) : "");
  };
  return item;
}
