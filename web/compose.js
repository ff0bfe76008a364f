// The form for a new message, or for one that still waits.

import { request } from "./api.js";
import { openDialog } from "./dialogs.js";
import { announce, el, setText } from "./dom.js";
import { isWaiting, wordsFor } from "./words.js";

const MOST = 1600;
const REPEATS = [
  ["", "Once"],
  ["FREQ=DAILY", "Every day"],
  ["FREQ=WEEKLY", "Every week"],
  ["FREQ=MONTHLY", "Every month"],
];
const FIELDS = ["to", "body", "send_at", "time_zone", "repeat", "from", "media_urls", "expires_after", "quiet_hours"];

/** message: the one to edit, or null. to: the recipient of a new one. done(message): called when it is saved. */
export function compose({ message = null, to = "", done }) {
  const key = crypto.randomUUID();
  const zone = message?.time_zone || Intl.DateTimeFormat().resolvedOptions().timeZone;
  const inputs = {
    to: el("input", { type: "tel", value: message?.to ?? to, required: true, autocomplete: "off" }),
    body: el("textarea", { value: message?.body ?? "", rows: 4, maxLength: MOST }),
    send_at: el("input", { type: "datetime-local", step: 1, value: message ? localTime(message.send_at, zone) : "" }),
    time_zone: el("input", { value: zone, list: "zones", autocomplete: "off", spellcheck: false }),
    repeat: el("select", {}, ...REPEATS.map(([value, text]) => el("option", { value, textContent: text }))),
    from: el("input", { autocomplete: "off", spellcheck: false }),
    media_urls: el("textarea", { value: message?.media_urls.join("\n") ?? "", rows: 2, spellcheck: false }),
    expires_after: el("input", { type: "number", min: 1, step: "any" }),
    quiet_hours: el("input", { value: message?.quiet_hours ?? "", placeholder: "21:00-08:00", autocomplete: "off" }),
  };
  const before = values();
  const left = el("span", { class: "hint", id: "left" });
  const problem = el("p", { class: "problem", role: "alert" });
  const save = el("button", { type: "submit", class: "main", textContent: message ? "Save" : "Send" });
  const more = el(
    "details",
    { open: Boolean(message?.media_urls.length || message?.quiet_hours) },
    el("summary", { textContent: "More" }),
    ...(message ? [] : [field("repeat", "Repeat"), field("from", "From", "One of your numbers, or a Messaging Service (MG…)")]),
    field("media_urls", "Pictures or files", "https URLs, one on each line"),
    field("expires_after", "Not later than", "Hours after it is due"),
    field("quiet_hours", "Quiet hours", "A message that is due in them leaves when they end; or off"),
  );
  const form = el(
    "form",
    { noValidate: true },
    field("to", "To", "+12025550101, or whatsapp:+12025550101"),
    field("body", "Text"),
    left,
    field("send_at", "When", message ? null : "If this is empty, the message leaves now"),
    field("time_zone", "Time zone"),
    el("datalist", { id: "zones" }, ...Intl.supportedValuesOf("timeZone").map((value) => el("option", { value }))),
    more,
    problem,
    el("p", { class: "buttons" }, save),
  );
  const dialog = openDialog(message ? "Edit the message" : "New text", form);
  inputs.body.addEventListener("input", counted);
  inputs.send_at.addEventListener("input", counted);
  counted();
  form.addEventListener("submit", submit);
  inputs[message || to ? "body" : "to"].focus();

  function field(name, label, hint) {
    const described = [hint ? `${name}-hint` : "", name === "body" ? "left" : "", `${name}-problem`].join(" ").trim();
    inputs[name].id = `field-${name}`;
    inputs[name].setAttribute("aria-describedby", described);
    return el(
      "p",
      { class: "field" },
      el("label", { for: `field-${name}`, textContent: label }),
      inputs[name],
      hint ? el("span", { class: "hint", id: `${name}-hint`, textContent: hint }) : null,
      el("span", { class: "problem", id: `${name}-problem` }),
    );
  }

  function counted() {
    setText(left, `${inputs.body.value.length.toLocaleString()} of ${MOST.toLocaleString()} characters`);
    if (!message) setText(save, inputs.send_at.value ? "Schedule" : "Send");
  }

  function values() {
    const text = (name) => inputs[name].value.trim();
    const urls = text("media_urls").split(/\s+/).filter(Boolean);
    return {
      to: text("to"),
      body: inputs.body.value || null,
      send_at: text("send_at") || null,
      time_zone: text("time_zone") || null,
      repeat: text("repeat") || null,
      from: text("from") || null,
      media_urls: urls.length ? urls : null,
      expires_after: text("expires_after") ? Math.round(Number(text("expires_after")) * 3600) : null,
      quiet_hours: text("quiet_hours") || null,
    };
  }

  async function submit(event) {
    event.preventDefault();
    for (const name of FIELDS) blame(name, "");
    setText(problem, "");
    save.disabled = true;
    try {
      const saved = message ? await edited() : await created();
      dialog.close();
      announce(`The message is ${isWaiting(saved.state) ? "scheduled" : wordsFor(saved.state)}.`);
      done(saved);
    } catch (error) {
      if (!blame(error.field, error.message)) setText(problem, error.message);
    } finally {
      save.disabled = false;
    }
  }

  function created() {
    const given = Object.entries(values()).filter(([, value]) => value !== null);
    // Every try of this form has the same key: if an answer is lost, the next try does not send the message twice.
    return request("POST", "messages", { json: { ...Object.fromEntries(given), idempotency_key: key } });
  }

  function edited() {
    const now = values();
    const changed = Object.entries(now).filter(([name, value]) => String(value) !== String(before[name]));
    const json = Object.fromEntries(changed);
    if ("send_at" in json || "time_zone" in json) Object.assign(json, { send_at: now.send_at, time_zone: now.time_zone });
    if ("quiet_hours" in json) json.quiet_hours ??= "off";
    if (!changed.length) return message;
    return request("PATCH", `messages/${encodeURIComponent(message.id)}`, { json });
  }

  /** Show at a field what is wrong with it. Returns false if there is no such field. */
  function blame(name, text) {
    const input = inputs[name];
    const place = input && form.querySelector(`#${name}-problem`);
    if (!place) return false;
    setText(place, text);
    input.setAttribute("aria-invalid", String(Boolean(text)));
    if (!text) return true;
    if (more.contains(input)) more.open = true;
    input.focus();
    return true;
  }
}

/** An instant on the wall clock of a time zone, in the form of a datetime-local input: 2030-01-31T09:00:00. */
function localTime(iso, zone) {
  const parts = new Intl.DateTimeFormat("en-CA", {
    timeZone: zone,
    hourCycle: "h23",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  }).formatToParts(new Date(iso));
  const part = (type) => parts.find((each) => each.type === type).value;
  return `${part("year")}-${part("month")}-${part("day")}T${part("hour")}:${part("minute")}:${part("second")}`;
}
