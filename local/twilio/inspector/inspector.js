// The inspector: requests to the emulator, its webhook requests to the app, and the answers.
// Everything is shown by textContent. Nothing that came from outside is ever read as HTML.

const TABS = {
  messages: { name: "Messages", count: (data) => data.counts.messages, row: messageRow, key: (each) => each.sid, detail: messageDetail },
  calls: { name: "Calls", count: (data) => data.counts.calls, row: callRow, key: (each) => each.sid, detail: callDetail },
  deliveries: { name: "Webhooks", count: (data) => data.counts.deliveries, row: deliveryRow, key: (each) => String(each.number), detail: deliveryDetail },
  exchanges: { name: "Requests", count: (data) => data.exchanges.length, row: exchangeRow, key: (each) => `${each.at} ${each.path}`, detail: exchangeDetail },
  alerts: { name: "Alerts", count: (data) => data.alerts.length, row: alertRow, key: (each) => `${each.at} ${each.code}`, detail: alertDetail },
  faults: { name: "Faults", count: () => "", row: faultRow, key: (each) => each.name, detail: faultDetail },
};
const LIMIT = 200;

const state = { data: null, tab: "messages", key: null, filter: "", shown: "" };
const $ = (id) => document.getElementById(id);

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined).map((child) => (child instanceof Node ? child : String(child))));
  return made;
}

const time = (text) => (text ? new Date(text).toLocaleTimeString([], { hour12: false }) : "");
const link = (tab, key, text) => element("a", { href: `#${tab}/${encodeURIComponent(key)}` }, text);
const tone = (status) =>
  ["delivered", "completed", "received", "read"].includes(status) ? "good"
  : ["failed", "undelivered", "busy", "no-answer", "canceled"].includes(status) ? "bad" : "wait";
const answerTone = (status) => (status >= 200 && status < 300 ? "good" : status === null ? "wait" : "bad");

// Rows: [what, state, tone, more, when]

const person = (each) => (each.direction === "inbound" ? `from ${each.from}` : `to ${each.to}`);

function messageRow(each) {
  return [person(each), each.status, tone(each.status), each.body, time(each.date_created)];
}
function callRow(each) {
  return [person(each), each.status, tone(each.status), each.sid, time(each.date_created)];
}
function deliveryRow(each) {
  const status = each.params.MessageStatus ?? each.params.CallStatus ?? each.params.RecordingStatus ?? "";
  const state = each.status ?? (each.error || (each.milliseconds === null ? "waiting" : "failed"));
  return [`${each.kind} ${status}`, String(state), each.error ? "bad" : answerTone(each.status), `${each.method} ${each.url}`, time(each.at)];
}
function exchangeRow(each) {
  return [`${each.method} ${each.path.split("/").slice(4).join("/")}`, each.status ?? "no answer", answerTone(each.status), each.query || each.form, time(each.at)];
}
function alertRow(each) {
  return [`${each.code} ${each.meaning}`, "", "bad", each.detail, time(each.at)];
}
function faultRow(each) {
  const wrong = each.value && !["seed", "retry_after"].includes(each.name);
  return [each.name, String(each.value), wrong ? "bad" : "quiet", each.injected ? `injected ${each.injected} times` : "", ""];
}

// Details

function fields(values, links = {}) {
  const table = element("table");
  for (const [name, value] of Object.entries(values)) {
    if (value === null || value === undefined || value === "" || typeof value === "object") continue;
    table.append(element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, links[name] ? link(links[name], value, value) : value)));
  }
  return table;
}

function pretty(text, type) {
  if (!text) return element("p", { class: "quiet" }, "empty");
  if (type.includes("json")) {
    try {
      return element("pre", {}, JSON.stringify(JSON.parse(text), null, 2));
    } catch {
      return element("pre", {}, text);
    }
  }
  return element("pre", {}, type.includes("xml") ? indented(text) : text);
}

// TwiML with one element on each line, so that a person can read it. Its text is not changed.
function indented(xml) {
  const document = new DOMParser().parseFromString(xml, "text/xml");
  if (document.querySelector("parsererror")) return xml;
  const lines = [];
  const walk = (node, depth) => {
    const attributes = [...node.attributes].map((each) => ` ${each.name}="${each.value}"`).join("");
    const children = [...node.children];
    const text = node.textContent.trim();
    const pad = "  ".repeat(depth);
    if (!children.length) lines.push(text ? `${pad}<${node.tagName}${attributes}>${text}</${node.tagName}>` : `${pad}<${node.tagName}${attributes}/>`);
    else {
      lines.push(`${pad}<${node.tagName}${attributes}>`);
      for (const child of children) walk(child, depth + 1);
      lines.push(`${pad}</${node.tagName}>`);
    }
  };
  walk(document.documentElement, 0);
  return lines.join("\n");
}

function deliveriesOf(sid) {
  const found = state.data.deliveries.filter((each) => each.sid === sid).reverse();
  if (!found.length) return element("p", { class: "quiet" }, "No webhook yet.");
  const list = element("ol");
  for (const each of found) list.append(row("deliveries", each));
  return list;
}

function messageDetail(each) {
  return [element("h2", {}, `Message ${each.sid}`), element("pre", {}, each.body || "(no text)"), element("h3", {}, "Fields"), fields({ ...each, body: null }), element("h3", {}, "Webhooks"), deliveriesOf(each.sid)];
}

function callDetail(each) {
  const parts = [element("h2", {}, `Call ${each.sid}`), fields(each, { parent_call_sid: "calls" })];
  for (const document of each.documents) {
    parts.push(element("h3", {}, document.url ? `TwiML from ${document.method} ${document.url}` : "TwiML given in the request"));
    parts.push(document.twiml === null ? element("p", { class: "bad" }, `No TwiML: ${document.error || `HTTP ${document.status}`}`) : pretty(document.twiml, "xml"));
  }
  parts.push(element("h3", {}, "Webhooks"), deliveriesOf(each.sid));
  return parts;
}

function deliveryDetail(each) {
  const tab = each.sid.startsWith("CA") ? "calls" : "messages";
  const answer = each.status === null ? each.error || "waiting" : `${each.status} ${each.content_type}`;
  return [
    element("h2", {}, `${each.kind} webhook ${each.number}`),
    fields({ sent: new Date(each.at).toLocaleString(), for: each.sid, "answered in": each.milliseconds === null ? null : `${each.milliseconds} ms`, attempt: each.attempt }, { for: tab }),
    element("h3", {}, "Request"),
    element("pre", {}, `${each.method} ${each.url}\nX-Twilio-Signature: ${each.signature}\nI-Twilio-Idempotency-Token: ${each.idempotency_token}`),
    element("h3", {}, "Parameters"),
    fields(each.params),
    element("h3", {}, `Answer: ${answer}`),
    each.error_code ? element("p", { class: "bad" }, `Twilio error ${each.error_code}`) : null,
    pretty(each.body, each.content_type),
  ];
}

function exchangeDetail(each) {
  const parameters = (text) => Object.fromEntries([...new URLSearchParams(text)].map(([name, value], index, all) => [all.filter(([other]) => other === name).length > 1 ? `${name} [${index}]` : name, value]));
  return [
    element("h2", {}, `${each.method} ${each.path}`),
    fields({ at: new Date(each.at).toLocaleString() }),
    each.query ? element("h3", {}, "Query") : null,
    each.query ? fields(parameters(each.query)) : null,
    each.form ? element("h3", {}, "Form") : null,
    each.form ? fields(parameters(each.form)) : null,
    element("h3", {}, `Answer: ${each.status ?? "none was sent"}`),
    pretty(each.answer, "json"),
  ];
}

function alertDetail(each) {
  return [element("h2", {}, `${each.code} ${each.meaning}`), fields({ at: new Date(each.at).toLocaleString(), for: each.sid, detail: each.detail }, { for: each.sid.startsWith("CA") ? "calls" : "messages" })];
}

function faultDetail(each) {
  return [
    element("h2", {}, each.name),
    fields({ now: String(each.value), injected: each.injected ?? 0 }),
    element("p", { class: "quiet" }, "Set faults with PUT /emulator/faults, for example:"),
    element("pre", {}, `curl -X PUT ${location.origin}/emulator/faults -H 'Content-Type: application/json' -d '{"${each.name}": ${typeof each.value === "boolean" ? "true" : "0.1"}}'`),
  ];
}

// The page

function items(tab) {
  const data = state.data;
  if (tab !== "faults") return data[tab];
  return Object.entries(data.faults).map(([name, value]) => ({ name, value, injected: data.injected[name] }));
}

function row(tab, each) {
  const [what, status, tone, more, when] = TABS[tab].row(each);
  const key = TABS[tab].key(each);
  const current = tab === state.tab && key === state.key ? "true" : null;
  return element("li", {}, element("a", { href: `#${tab}/${encodeURIComponent(key)}`, "aria-current": current },
    element("span", { class: "what" }, what), element("span", { class: `state ${tone}` }, status),
    element("span", { class: "more" }, more), element("span", { class: "when" }, when)));
}

function render() {
  if (!state.data) return;
  const { data, tab } = state;
  $("account").textContent = `${data.account_sid} · ${data.numbers.join(", ")}`;
  const focused = document.activeElement?.getAttribute("href");
  document.querySelector("nav").replaceChildren(...Object.entries(TABS).map(([name, each]) =>
    element("a", { href: `#${name}`, "aria-current": name === tab ? "page" : null }, each.name, element("b", {}, each.count(data)))));
  const wanted = state.filter.toLowerCase();
  const found = items(tab).filter((each) => !wanted || JSON.stringify(each).toLowerCase().includes(wanted));
  $("rows").replaceChildren(...found.map((each) => row(tab, each)));
  $("empty").hidden = found.length > 0;
  $("empty").textContent = wanted ? "Nothing matches the filter." : "Nothing yet. It appears here as it happens.";
  const picked = items(tab).find((each) => TABS[tab].key(each) === state.key);
  const shown = JSON.stringify([tab, state.key, picked, picked?.sid && data.deliveries.filter((each) => each.sid === picked.sid)]);
  document.body.classList.toggle("picked", state.key !== null);
  if (shown !== state.shown) {
    state.shown = shown;
    const back = element("a", { id: "back", href: `#${tab}` }, "← back to the list");
    const parts = picked ? TABS[tab].detail(picked) : [element("p", { class: "quiet" }, state.key ? "This is no longer among the newest." : "Choose one to see it whole.")];
    $("detail").replaceChildren(back, ...parts.filter((part) => part !== null));
  }
  if (focused) document.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

function navigate() {
  const [tab, ...rest] = location.hash.slice(1).split("/");
  state.tab = tab in TABS ? tab : "messages";
  state.key = rest.length ? decodeURIComponent(rest.join("/")) : null;
  render();
}

let loading = false;
let again = false;

async function load() {
  if (loading) {
    again = true;
    return;
  }
  loading = true;
  try {
    const answer = await fetch(`/emulator/overview?limit=${LIMIT}`);
    if (answer.ok) state.data = await answer.json();
    render();
  } catch {
    live("off", "the emulator is away");
  } finally {
    loading = false;
    if (again) {
      again = false;
      load();
    }
  }
}

function live(mark, text) {
  $("live").className = mark;
  $("live").textContent = text;
}

const events = new EventSource("/emulator/events");
events.onmessage = load;
events.onopen = () => live("on", "live");
events.onerror = () => live("off", "the emulator is away");
$("filter").addEventListener("input", (event) => {
  state.filter = event.target.value;
  render();
});
addEventListener("hashchange", () => {
  navigate();
  if (state.key !== null) $("detail").focus({ preventScroll: true });
});
navigate();
