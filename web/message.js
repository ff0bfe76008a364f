// One message: everything about it, refreshed as it changes; edit, cancel and resend.

import { request } from "./api.js";
import { badge, facts, timeElement } from "./cells.js";
import { compose } from "./compose.js";
import { confirmed, openDialog } from "./dialogs.js";
import { el, setText } from "./dom.js";
import { cost, isFinal, isWaiting, plural, wordsFor } from "./words.js";

const OFTEN = 1_500;
const SELDOM = 10_000;

/** Show a message, and refresh it until the dialog is closed. changed(): called when somebody changed it. */
export function showMessage(message, changed) {
  const state = badge(message.state);
  const said = el("p", { role: "status", class: "state" }, state, " ", el("span"));
  const list = facts([]);
  const problem = el("p", { class: "problem", role: "alert" });
  const edit = el("button", { type: "button", textContent: "Edit" });
  const cancel = el("button", { type: "button", textContent: "Cancel the message" });
  const resend = el("button", { type: "button", textContent: "Send again" });
  const timeline = el("button", { type: "button", textContent: "Everything with this number" });
  const text = el("blockquote");
  const dialog = openDialog(
    `Message to ${message.to}`,
    said,
    text,
    list,
    problem,
    el("p", { class: "buttons" }, timeline, edit, cancel, resend),
  );
  let timer;
  let signature = "";

  function show(current) {
    message = current;
    if (JSON.stringify(current) === signature) return;
    signature = JSON.stringify(current);
    state.update(current.state);
    setText(said.lastChild, current.reason ? `– ${current.reason}` : "");
    setText(text, current.body);
    list.update(known(current));
    edit.hidden = cancel.hidden = !isWaiting(current.state);
    resend.hidden = current.state !== "unresolved";
    timeline.hidden = !numberOf(current.to);
  }

  async function refresh() {
    clearTimeout(timer);
    try {
      show(await request("GET", `messages/${encodeURIComponent(message.id)}`));
      setText(problem, "");
    } catch (error) {
      setText(problem, error.message);
    }
    if (dialog.open) timer = setTimeout(refresh, isFinal(message.state) ? SELDOM : OFTEN);
  }

  async function act(work) {
    try {
      const value = await work();
      if (value) show(value);
      setText(problem, "");
    } catch (error) {
      setText(problem, error.message);
    }
    changed();
    refresh();
  }

  timeline.addEventListener("click", () => {
    dialog.close();
    document.dispatchEvent(new CustomEvent("number", { detail: numberOf(message.to) }));
  });
  edit.addEventListener("click", () => compose({ message, done: () => act(() => null) }));
  cancel.addEventListener("click", async () => {
    const question = message.repeat ? "It is not sent, and its series ends." : "It is not sent.";
    if (await confirmed("Cancel the message?", question, "Cancel it")) {
      act(() => request("DELETE", `messages/${encodeURIComponent(message.id)}`));
    }
  });
  resend.addEventListener("click", async () => {
    const question = "Nobody can say whether it was sent: the recipient may get it twice.";
    if (await confirmed("Send it again?", question, "Send again")) {
      act(() => request("POST", `messages/${encodeURIComponent(message.id)}/resend`));
    }
  });
  dialog.addEventListener("close", () => clearTimeout(timer));
  show(message);
  refresh();
}

function known(message) {
  const code = message.error_code;
  return [
    [isWaiting(message.state) ? "Leaves" : "Was due", timeElement(message.send_at)],
    ["Next try", message.retry_at && timeElement(message.retry_at)],
    ["Time zone", message.time_zone],
    ["Repeats", message.repeat],
    ["Expires", message.expires_at && timeElement(message.expires_at)],
    ["Quiet hours", message.quiet_hours],
    ["From", message.from],
    ["Media", message.media_urls.length ? message.media_urls.join("\n") : null],
    ["Error", code ? errorLink(code) : null],
    ["Posted", message.posted_at && timeElement(message.posted_at)],
    ...message.reports.map((report) => [sentence(wordsFor(report.state)), timeElement(report.at)]),
    ["Billed as", `${plural(message.segments, "segment")}, ${message.encoding}`],
    ["Cost", message.price && cost(message.price)],
    ["Attempts", message.attempts || null],
    ["SID", message.sid],
    ["Id", message.id],
  ];
}

/** The number in an address, or null. */
const numberOf = (address) => /^(?:whatsapp:)?(\+\d+)$/.exec(address)?.[1] ?? null;

export const sentence = (words) => words.charAt(0).toUpperCase() + words.slice(1);

/** Twilio's own page about an error code. */
export function errorLink(code) {
  return el("a", {
    href: `https://www.twilio.com/docs/api/errors/${encodeURIComponent(code)}`,
    rel: "noopener noreferrer",
    target: "_blank",
    textContent: String(code),
  });
}
