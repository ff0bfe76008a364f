// Stacked bars as SVG, and the same numbers as a table for people who cannot see the bars.

import { el, follow, setText, svg } from "./dom.js";
import { GROUPS, groupOf, plural } from "./words.js";

const WIDTH = 720;
const HEIGHT = 150;
const FOOT = 18;
const ORDER = Object.keys(GROUPS);

/** A chart in `figure`, which has a caption. slots: [{ at: Date, title, tick, states: {state: count} }].
 *  pick(slot): called when somebody wants to see the messages of a bar. */
export class Chart {
  #figure;
  #pick;
  #picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT + FOOT}`, "aria-hidden": "true", focusable: "false" });
  #rows = el("tbody");
  #summary = el("p", { class: "hint" });
  #drawn = "";

  constructor(figure, pick) {
    this.#figure = figure;
    this.#pick = pick;
    const heads = ["Time", ...ORDER.map((group) => GROUPS[group].title)];
    const table = el(
      "table",
      {},
      el("thead", {}, el("tr", {}, ...heads.map((text) => el("th", { scope: "col", textContent: text })))),
      this.#rows,
    );
    const scroller = el("div", { class: "scroller", tabIndex: 0, role: "region", "aria-label": "The chart as a table" }, table);
    figure.append(this.#picture, this.#summary, el("details", {}, el("summary", { textContent: "As a table" }), scroller));
  }

  draw(slots) {
    const signature = JSON.stringify(slots);
    if (signature === this.#drawn) return;
    this.#drawn = signature;
    const sums = slots.map((slot) => grouped(slot.states));
    const totals = sums.map((sum) => ORDER.reduce((total, group) => total + (sum[group] ?? 0), 0));
    const most = Math.max(1, ...totals);
    const step = WIDTH / slots.length;
    const bars = slots.map((slot, index) => this.#bar(slot, sums[index], index * step, step, most));
    const ticks = slots.flatMap((slot, index) => (slot.tick ? [tick(slot.tick, (index + 0.5) * step)] : []));
    const base = svg("line", { x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT, class: "axis" });
    const top = svg("text", { x: 0, y: 12, class: "tick" }, String(most));
    this.#picture.replaceChildren(...bars, base, top, ...ticks);
    const all = totals.reduce((sum, total) => sum + total, 0);
    setText(this.#summary, all ? `${plural(all, "message")}, at most ${most.toLocaleString()} in one bar.` : "No messages.");
    const filled = slots.map((slot, index) => ({ slot, sum: sums[index] })).filter((_, index) => totals[index]);
    follow(this.#rows, filled, (row) => row.slot.at.toISOString(), () => this.#row());
  }

  #bar(slot, sum, x, step, most) {
    const bar = svg("g", { class: "bar" });
    bar.append(svg("title", {}, described(slot, sum)));
    bar.append(svg("rect", { x, y: 0, width: step, height: HEIGHT, class: "hit" }));
    let y = HEIGHT;
    for (const group of ORDER) {
      if (!sum[group]) continue;
      const height = Math.max(2, (sum[group] / most) * (HEIGHT - 14));
      y -= height;
      bar.append(svg("rect", { x: x + step * 0.1, y, width: step * 0.8, height, class: `fill ${group}` }));
    }
    bar.addEventListener("click", () => this.#pick(slot));
    return bar;
  }

  #row() {
    const button = el("button", { type: "button", class: "link" });
    const cells = ORDER.map(() => el("td", { class: "number" }));
    const row = el("tr", {}, el("th", { scope: "row" }, button), ...cells);
    row.update = ({ slot, sum }) => {
      setText(button, slot.title);
      button.onclick = () => this.#pick(slot);
      ORDER.forEach((group, index) => setText(cells[index], String(sum[group] ?? 0)));
    };
    return row;
  }
}

/** {state: count} as {group: count}. */
export function grouped(states) {
  const sum = {};
  for (const [state, count] of Object.entries(states)) sum[groupOf(state)] = (sum[groupOf(state)] ?? 0) + count;
  return sum;
}

function described(slot, sum) {
  const parts = ORDER.filter((group) => sum[group]).map((group) => `${sum[group]} ${GROUPS[group].title.toLowerCase()}`);
  return `${slot.title}: ${parts.join(", ") || "nothing"}`;
}

function tick(text, x) {
  return svg("text", { x, y: HEIGHT + 14, class: "tick", "text-anchor": "middle" }, text);
}
