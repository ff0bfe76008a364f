// The overview: how many messages are in each state, by hour, and a list of them.

import { request } from "./api.js";
import { Chart, grouped } from "./chart.js";
import { badge, timeElement } from "./cells.js";
import { $, announce, el, follow, setText, shownTime } from "./dom.js";
import { showMessage } from "./message.js";
import { Newest } from "./newest.js";
import { GROUPS, isWaiting, plural, wordsFor } from "./words.js";

const HOUR = 3_600_000;
const SLOT = 6;
const PAGE = 50;
const FOLLOWED = 3; // short pages that are followed, for one state in one round

let group = null;
let stretch = null;
let shown = "";
let counted = null;

const list = new Newest(async (after, before) => {
  const states = group ? GROUPS[group].states : [""];
  const pages = await Promise.all(
    states.map((state) => pageOf({ due_after: after, due_before: before, ...(state && { state }) })),
  );
  return { items: byTime(pages.flatMap((page) => page.messages)), more: pages.some((page) => page.token) };
});

const past = new Chart($("past"), (slot) => showStretch(slot, HOUR));
const ahead = new Chart($("ahead"), (slot) => showStretch(slot, SLOT * HOUR));

/** One round: the counts, and the messages that are shown. Returns whether anything was new. */
export async function load() {
  const stats = await request("GET", "stats");
  showStats(stats);
  list.aim(hours(stats.past), PAGE);
  const found = await loadList();
  showList(found);
  const signature = JSON.stringify([stats.past, stats.ahead, stats.due, stats.unresolved, found.items]);
  const isNew = signature !== shown;
  shown = signature;
  return isNew;
}

/** [start (ms), count] of each hour in which there are messages of the chosen group, newest first. */
function hours(counts) {
  const states = group ? GROUPS[group].states : null;
  return Object.entries(counts)
    .map(([hour, found]) => {
      const wanted = Object.entries(found).filter(([state]) => !states || states.includes(state));
      return [Date.parse(hour), wanted.reduce((sum, [, count]) => sum + count, 0)];
    })
    .sort(([one], [other]) => other - one);
}

async function loadList() {
  const isWhole = group === "unresolved" || (group === "waiting" && !stretch);
  return isWhole ? loadAll() : list.load();
}

/** All that waits, soonest first; or all that is unresolved, however old. */
async function loadAll() {
  const pages = await Promise.all(GROUPS[group].states.map((state) => pageOf({ state })));
  const items = byTime(pages.flatMap((page) => page.messages));
  return { items: items.slice(0, PAGE), more: pages.some((page) => page.token) || items.length > PAGE };
}

/** A page of messages, oldest first. The app may send short pages with a token: then more are asked for. */
async function pageOf(wanted) {
  const messages = [];
  let token = "";
  for (let asked = 0; asked === 0 || (token && messages.length < PAGE && asked < FOLLOWED); asked += 1) {
    const page = await request("GET", `messages?${new URLSearchParams({ ...wanted, limit: PAGE, token })}`);
    messages.push(...page.messages);
    token = page.token;
  }
  return { messages, token };
}

function byTime(messages) {
  const time = (message) => message.retry_at ?? message.send_at;
  return messages.sort((one, other) => time(one).localeCompare(time(other)));
}

function showStats(stats) {
  const now = new Date(stats.at);
  const hour = new Date(now);
  hour.setMinutes(0, 0, 0);
  const totals = { waiting: stats.due, unresolved: stats.unresolved };
  const count = (hours) => {
    for (const states of Object.values(hours)) {
      for (const [name, value] of Object.entries(grouped(states))) {
        if (name !== "unresolved") totals[name] = (totals[name] ?? 0) + value;
      }
    }
  };
  count(stats.past);
  count(stats.ahead);
  follow($("tiles"), Object.keys(GROUPS), (name) => name, tile);
  for (const tileItem of $("tiles").children) tileItem.count(totals[tileItem.dataset.key] ?? 0, stats);
  tell(totals);
  $("incomplete").hidden = stats.complete;
  past.draw(slots(hour.getTime() - 23 * HOUR, 24, 1, stats.past));
  ahead.draw(slots(hour.getTime(), (7 * 24) / SLOT, SLOT, stats.ahead));
}

/** Tell a screen reader which messages have changed since the last round. */
function tell(totals) {
  if (counted) {
    const news = ["delivered", "failed", "unresolved"]
      .map((name) => [name, (totals[name] ?? 0) - (counted[name] ?? 0)])
      .filter(([, more]) => more > 0)
      .map(([name, more]) => `${more} more ${GROUPS[name].title.toLowerCase()}`);
    if (news.length) announce(news.join(", "));
  }
  counted = totals;
}

function tile() {
  const number = el("span", { class: "count" });
  const title = el("span", { class: "label" });
  const hint = el("span", { class: "hint" });
  const button = el("button", { type: "button" }, number, title, hint);
  const item = el("li", {}, button);
  item.update = (name) => {
    setText(title, GROUPS[name].title);
    item.className = name;
    button.onclick = () => choose(group === name ? null : name);
    button.setAttribute("aria-pressed", String(group === name));
  };
  item.count = (count, stats) => {
    const name = item.dataset.key;
    setText(number, count.toLocaleString());
    setText(hint, name === "waiting" && stats.due ? `${stats.due.toLocaleString()} due now` : GROUPS[name].hint);
  };
  return item;
}

/** Bars of so many hours each, from `start` (ms) on. The counts are by hour. */
function slots(start, count, hours, counts) {
  const short = new Intl.DateTimeFormat(undefined, hours === 1 ? { hour: "numeric" } : { weekday: "short" });
  const long = new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "numeric", minute: "2-digit" });
  return Array.from({ length: count }, (_, index) => {
    const at = new Date(start + index * hours * HOUR);
    const states = {};
    for (let each = 0; each < hours; each += 1) {
      const key = `${new Date(at.getTime() + each * HOUR).toISOString().slice(0, 13)}:00Z`;
      for (const [state, value] of Object.entries(counts[key] ?? {})) states[state] = (states[state] ?? 0) + value;
    }
    const isTicked = index % 4 === (hours === 1 ? 3 : 2);
    return { at, title: long.format(at), tick: isTicked ? short.format(at) : "", states };
  });
}

function choose(name) {
  group = name;
  stretch = null;
  list.reset();
  for (const item of $("tiles").children) item.update(item.dataset.key);
  refresh();
}

function showStretch(slot, length) {
  group = slot.at > new Date() ? "waiting" : null;
  stretch = slot.title;
  list.reset(new Date(slot.at.getTime() + length), length);
  for (const item of $("tiles").children) item.update(item.dataset.key);
  refresh();
  $("list-title").focus();
}

let refresh = () => {};

/** onChange: called to have a round now. */
export function start(onChange) {
  refresh = onChange;
  $("newest").addEventListener("click", () => choose(group));
  $("earlier").addEventListener("click", () => {
    list.earlier();
    stretch = "earlier";
    refresh();
  });
}

function showList({ items, more, since }) {
  const title = group ? GROUPS[group].title : "Newest";
  setText($("list-title"), stretch && stretch !== "earlier" ? `${stretch}${group ? "" : " on"}` : title);
  const found = items.length ? plural(items.length, "message") : "No messages";
  const soonest = more ? "the soonest " : "";
  const from = since ? ` since ${shownTime(since.toISOString())}` : "";
  setText($("list-hint"), list.isEarlier && since ? `${found} in that time` : `${soonest}${found}${from}`);
  $("newest").hidden = !stretch;
  $("earlier").hidden = !since;
  follow($("messages"), items, (message) => message.id, row);
}

function row() {
  const time = timeElement("");
  const to = el("button", { type: "button", class: "link" });
  const text = el("td", { class: "text" });
  const state = badge();
  const reason = el("span", { class: "reason" });
  const item = el("tr", {}, el("td", {}, time), el("td", {}, to), text, el("td", {}, state, reason));
  item.update = (message) => {
    time.update(isWaiting(message.state) ? (message.retry_at ?? message.send_at) : message.send_at);
    setText(to, message.to);
    to.onclick = () => showMessage(message, refresh);
    to.setAttribute("aria-label", `${message.to}, ${wordsFor(message.state)}: show the message`);
    setText(text, message.body || plural(message.media_urls.length, "picture or file", "pictures or files"));
    state.update(message.state);
    setText(reason, message.reason ?? "");
  };
  return item;
}
