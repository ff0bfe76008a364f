// Small helpers for the page. Text from outside only ever becomes a text node.

const SVG = "http://www.w3.org/2000/svg";

/** An element with properties and children. Those that are null are left out.
 *  `on` holds listeners, `data` data attributes, names with a dash or `role` are attributes. */
export function el(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (key === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else if (key === "data") Object.assign(node.dataset, value);
    else if (key === "class") node.className = value;
    else if (key.includes("-") || key === "role" || key === "for" || key === "list") node.setAttribute(key, value);
    else node[key] = value;
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** An SVG element with attributes. */
export function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

export const $ = (id) => document.getElementById(id);

/** Set a text. The page changes only if the text is another one: a screen reader reads every change. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Make the children of `parent` follow `items`. An element whose item stays is kept, and with it the focus.
 *  make() gives a new element with an `update(item)` function of its own. */
export function follow(parent, items, keyOf, make) {
  const present = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let child = present.get(key);
    present.delete(key);
    if (!child) {
      child = make();
      child.dataset.key = key;
    }
    child.update(item);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
  for (const child of present.values()) child.remove();
}

let quiet;

/** Tell a screen reader what happened, without moving the focus. */
export function announce(text) {
  const region = $("announcements");
  clearTimeout(quiet);
  region.textContent = "";
  requestAnimationFrame(() => {
    region.textContent = text;
  });
  quiet = setTimeout(() => {
    region.textContent = "";
  }, 10_000);
}

const moments = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const today = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

/** A time as people read it; a time of today has no date. Text that is no time stays as it is. */
export function shownTime(iso) {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return String(iso);
  return (date.toDateString() === new Date().toDateString() ? today : moments).format(date);
}

export function fullTime(iso) {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? String(iso) : moments.format(date);
}
