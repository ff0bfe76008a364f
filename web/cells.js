// Elements that show one value, and change with it.

import { el, fullTime, setText, shownTime } from "./dom.js";
import { groupOf, wordsFor } from "./words.js";

/** A time; the pointer over it shows it in full. */
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

/** A state as a word, with a colour. */
export function badge(state) {
  const node = el("span");
  node.update = (value) => {
    node.className = `badge ${groupOf(value)}`;
    setText(node, wordsFor(value));
  };
  if (state) node.update(state);
  return node;
}

/** A list of facts: [[name, value]] with texts or elements. A fact without a value is left out. */
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
