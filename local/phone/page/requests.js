// The side panel: each request with its signature, the TwiML of its answer, the notices about it, and its time.

const KEPT = 300;
const list = document.querySelector("#request-list");
const none = document.querySelector("#none");
const find = document.querySelector("#find");
const items = new Map();

function make(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function pretty(body, type) {
  if (!/xml|html/.test(type) || !body.trim()) return body;
  const xml = new DOMParser().parseFromString(body, "application/xml");
  if (xml.querySelector("parsererror")) return body;
  const lines = [];
  const write = (node, depth) => {
    const indent = "  ".repeat(depth);
    const attributes = [...node.attributes].map((each) => ` ${each.name}="${each.value}"`).join("");
    const text = [...node.childNodes].filter((each) => each.nodeType === Node.TEXT_NODE)
      .map((each) => each.data.trim()).join(" ").trim();
    if (!node.children.length && !text) lines.push(`${indent}<${node.tagName}${attributes}/>`);
    else if (!node.children.length) lines.push(`${indent}<${node.tagName}${attributes}>${text}</${node.tagName}>`);
    else {
      lines.push(`${indent}<${node.tagName}${attributes}>${text}`);
      for (const child of node.children) write(child, depth + 1);
      lines.push(`${indent}</${node.tagName}>`);
    }
  };
  write(xml.documentElement, 0);
  return lines.join("\n");
}

function outcome(request) {
  if (request.status === null) return request.error_code ? [String(request.error_code), "bad-text"] : ["…", "wait-text"];
  const bad = request.status >= 400 || request.notices.some((each) => each.is_error);
  return [String(request.status), bad ? "bad-text" : request.notices.length ? "wait-text" : "good-text"];
}

function summary(request) {
  const made = make("summary");
  const url = new URL(request.url);
  const [status, colour] = outcome(request);
  const time = new Date(request.at).toLocaleTimeString([], { hour12: false });
  const took = request.milliseconds === null ? "" : `, ${request.milliseconds} ms`;
  const warned = request.notices.map((each) => each.code).join(", ");
  made.append(
    make("span", "", request.method),
    make("span", "path", url.pathname + (request.method === "GET" ? "" : url.search)),
    make("span", `status ${colour}`, status),
    make("span", "about", `${time}${took}, ${request.kind}, ${request.sid.slice(0, 6)}…${warned && `, notices ${warned}`}`),
  );
  return made;
}

function detail(request) {
  const made = make("div", "detail");
  const section = (title, ...content) => made.append(make("h3", "", title), ...content);
  if (request.notices.length) {
    const notices = make("ul", "notices");
    for (const each of request.notices) notices.append(make("li", each.is_error ? "bad-text" : "wait-text", each.text));
    section("Notices", notices);
  }
  if (request.error) section("No answer", make("p", "bad-text", `${request.error_code}: ${request.error}`));
  section(request.content_type.includes("xml") ? "TwiML" : `Answer${request.content_type && `, ${request.content_type}`}`,
    make("pre", "", request.body ? pretty(request.body, request.content_type) : "(empty)"));
  section("URL", make("code", "", request.url));
  section("X-Twilio-Signature", make("code", "", request.signature));
  const table = make("table");
  for (const [name, value] of Object.entries(request.params)) {
    const row = make("tr");
    const heading = make("th", "", name);
    heading.scope = "row";
    row.append(heading, make("td", "", value));
    table.append(row);
  }
  section("Parameters", table);
  return made;
}

function matches(request) {
  const wanted = find.value.trim().toLowerCase();
  return !wanted || JSON.stringify(request).toLowerCase().includes(wanted);
}

export function showRequests(requests) {
  for (const request of requests) {
    const before = items.get(request.number);
    const details = make("details");
    details.append(summary(request));
    details.addEventListener("toggle", () => {
      if (details.open && !details.querySelector(".detail")) details.append(detail(request));
    });
    const item = make("li");
    item.append(details);
    item.hidden = !matches(request);
    if (before) {
      details.open = before.item.firstElementChild.open;
      before.item.replaceWith(item);
    } else list.prepend(item);
    items.set(request.number, { request, item });
    if (items.size > KEPT) {
      const [oldest] = items.keys();
      items.get(oldest).item.remove();
      items.delete(oldest);
    }
  }
  none.hidden = items.size > 0;
}

export function startOver() {
  items.clear();
  list.replaceChildren();
  none.hidden = false;
}

find.addEventListener("input", () => {
  for (const { request, item } of items.values()) item.hidden = !matches(request);
});
