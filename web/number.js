// The timeline of one number: texts, calls, their status callbacks, opt-out and price.

import { request } from "./api.js";
import { badge, timeElement } from "./cells.js";
import { $, el, follow, setText } from "./dom.js";
import { errorLink, sentence, showMessage } from "./message.js";
import { cost, isWaiting, plural, wordsFor } from "./words.js";

let number = null;
let until = null;
let kept = [];
let shown = "";
let refresh = () => {};

/** The number whose timeline is shown. It is kept here alone, so that no address has it. */
export const chosen = () => number;

export function choose(wanted) {
  number = wanted;
  until = null;
  kept = [];
  shown = "";
  setText($("number-title"), wanted);
  setText($("number-facts"), "");
  $("timeline").replaceChildren();
}

export async function load() {
  const asked = number;
  const newest = await request("POST", "recipients/timeline", { json: { to: asked } });
  let older = newest.older;
  if (until) {
    const page = await request("POST", "recipients/timeline", { json: { to: asked, until } });
    kept.push(...page.entries);
    older = page.older;
    until = null;
    $("older").value = older ?? "";
  } else if (kept.length) {
    older = $("older").value || null;
  }
  if (asked !== number) return false;
  number = newest.to;
  show(newest, older);
  const signature = JSON.stringify(newest);
  const isNew = signature !== shown;
  shown = signature;
  return isNew;
}

export function start(onChange) {
  refresh = onChange;
  $("older").addEventListener("click", () => {
    until = $("older").value;
    refresh();
  });
}

function show({ to, opted_out: optedOut, entries, price }, older) {
  setText($("number-title"), to);
  const costs = Object.entries(price).map(([unit, amount]) => `${cost(amount)} ${unit}`);
  const known = new Map([...entries, ...kept].map((entry) => [`${entry.kind}-${entry.id}`, entry]));
  const all = [...known.values()];
  if (optedOut) all.push({ kind: "opt-out", id: "", at: optedOut.since, source: optedOut.source });
  all.sort((one, other) => other.at.localeCompare(one.at));
  const parts = [
    plural(all.filter((entry) => entry.kind === "text").length, "text"),
    plural(all.filter((entry) => entry.kind === "call").length, "call"),
    costs.length ? `cost ${costs.join(" and ")} so far` : null,
    optedOut ? `opted out (${optedOut.source})` : null,
  ];
  setText($("number-facts"), parts.filter(Boolean).join(", "));
  $("older").hidden = !older;
  $("older").value = older ?? "";
  follow($("timeline"), all, (entry) => `${entry.kind}-${entry.id}`, entryItem);
}

function entryItem() {
  const item = el("li");
  let signature = "";
  item.update = (entry) => {
    if (JSON.stringify(entry) === signature) return;
    signature = JSON.stringify(entry);
    item.className = entry.kind;
    item.replaceChildren(...(entry.kind === "text" ? text(entry) : entry.kind === "call" ? call(entry) : optOut(entry)));
  };
  return item;
}

function text(entry) {
  const open = el("button", { type: "button", class: "link", textContent: "Open" });
  open.setAttribute("aria-label", `Open the text of ${entry.at}`);
  open.addEventListener("click", () => showMessage(entry, refresh));
  return [
    el("p", { class: "head" }, timeElement(entry.at), " ", kind(isWaiting(entry.state) ? "Text to come" : "Text"), " ", badge(entry.state), " ", open),
    el("blockquote", { textContent: entry.body }),
    ...footnotes(entry),
  ];
}

function call(entry) {
  const way = entry.direction === "inbound" ? "Call from them" : "Call to them";
  const length = entry.duration ? `, ${entry.duration} s` : "";
  const machine = entry.answered_by ? `, answered by ${entry.answered_by}` : "";
  return [
    el("p", { class: "head" }, timeElement(entry.at), " ", kind(`${way}${length}${machine}`), " ", badge(entry.state)),
    ...footnotes(entry),
  ];
}

function optOut(entry) {
  return [el("p", { class: "head" }, timeElement(entry.at), " ", kind(`Opted out: ${entry.source}`))];
}

const kind = (words) => el("span", { class: "kind", textContent: words });

function footnotes(entry) {
  const reports = entry.reports.flatMap((report) => [
    el("span", {}, `${sentence(wordsFor(report.state))} `, timeElement(report.at)),
  ]);
  const reason = entry.reason
    ? [el("span", { class: "reason" }, entry.reason, ...(entry.error_code ? [" (", errorLink(entry.error_code), ")"] : []))]
    : [];
  const price = entry.price ? [el("span", { textContent: `Cost ${cost(entry.price)}` })] : [];
  const notes = [...reports, ...reason, ...price];
  return notes.length ? [el("p", { class: "notes" }, ...notes)] : [];
}
