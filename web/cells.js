// Elements that show one value and follow it.

import { el, fullTime, setText, shownTime } from "./dom.js";
import { groupOf, wordsFor } from "./words.js";

/** A time, with the whole of it when pointed at. */
export function timeElement(iso = "") {
  const node = el("time");
  node.update = (value) => {
    if (!value) return setText(node, "");
    node.dateTime = value;
    node.title = fullTime(value);
    setText(node, shownTime(value));
  };
  node.update(iso);
  return node;
}

/** A state: its word, and a colour for those who see it. */
export function badge(state) {
  const node = el("span");
  node.update = (value) => {
    node.className = `badge ${groupOf(value)}`;
    setText(node, wordsFor(value));
  };
  if (state) node.update(state);
  return node;
}

/** A list of facts: [[name, value]] with texts or elements; what has no value is left out. */
export function facts(pairs) {
  const list = el("dl");
  list.update = (current) => {
    const rows = current
      .filter(([, value]) => value !== null && value !== undefined && value !== "")
      .flatMap(([name, value]) => [el("dt", { textContent: name }), el("dd", {}, value)]);
    list.replaceChildren(...rows);
  };
  list.update(pairs);
  return list;
}
