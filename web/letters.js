// The dead letters: why each was given up, replay, discard.

import { request } from "./api.js";
import { timeElement } from "./cells.js";
import { confirmed } from "./dialogs.js";
import { $, announce, el, follow, fullTime, setText } from "./dom.js";

const PAGE = 20;

let limit = PAGE;
let shown = "";
let refresh = () => {};

export async function load() {
  const page = await request("GET", `deadletters?limit=${limit}`);
  const signature = JSON.stringify(page);
  const isNew = signature !== shown;
  shown = signature;
  if (page.dead_letters.length) follow($("letter-list"), page.dead_letters, (letter) => letter.id, item);
  else follow($("letter-list"), [null], () => "none", () => Object.assign(el("li", { textContent: "None." }), { update() {} }));
  $("more-letters").hidden = !page.token || limit >= 200;
  return isNew;
}

export function start(onChange) {
  refresh = onChange;
  $("more-letters").addEventListener("click", () => {
    limit = Math.min(200, limit + PAGE);
    refresh();
  });
}

function item() {
  const time = timeElement();
  const reason = el("p", { class: "reason" });
  const replayed = el("p", { class: "hint" });
  const body = el("pre", { tabIndex: 0 });
  const name = el("code");
  const problem = el("p", { class: "problem", role: "alert" });
  const replay = el("button", { type: "button", class: "main", textContent: "Replay" });
  const discard = el("button", { type: "button", textContent: "Discard" });
  const node = el(
    "li",
    { class: "letter" },
    el("p", { class: "head" }, time, " ", name),
    reason,
    body,
    replayed,
    problem,
    el("p", { class: "buttons" }, replay, discard),
  );

  async function act(letter, verb, done) {
    replay.disabled = discard.disabled = true;
    setText(problem, "");
    try {
      await request("POST", `deadletters/${encodeURIComponent(letter.id)}/${verb}`);
      announce(done);
    } catch (error) {
      setText(problem, error.message);
    } finally {
      replay.disabled = discard.disabled = false;
    }
    refresh();
  }

  node.update = (letter) => {
    time.update(letter.died_at);
    setText(name, letter.call_id);
    setText(reason, letter.reason);
    setText(body, readable(letter.body));
    body.setAttribute("aria-label", `The queue message of ${letter.call_id}`);
    setText(replayed, letter.replayed_at ? `Replayed ${fullTime(letter.replayed_at)}` : "");
    replay.setAttribute("aria-label", `Replay ${letter.call_id}`);
    discard.setAttribute("aria-label", `Discard ${letter.call_id}`);
    replay.onclick = () => act(letter, "replay", "The call is on the queue again.");
    discard.onclick = async () => {
      if (await confirmed("Discard it?", `${letter.call_id} is deleted for good.`, "Discard")) {
        act(letter, "discard", "The dead letter is discarded.");
      }
    };
  };
  return node;
}

/** JSON with line breaks; anything else as it is. */
function readable(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
