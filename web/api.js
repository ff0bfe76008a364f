// Requests to the app's own routes. A person types the function key once; the page keeps it for this tab and sends it
// as a header.

import { $, el } from "./dom.js";

const KEPT = "switchboard-key";
const PATIENCE = 30_000;

/** The app refused a request. field: the one that is wrong, or null. */
export class Refused extends Error {
  constructor(status, error) {
    super(error.message);
    this.status = status;
    this.code = error.code;
    this.field = error.field ?? null;
    this.state = error.state ?? null;
    this.retryAfter = error.retry_after ?? null;
  }
}

/** The app did not answer at all. */
export class Away extends Error {}

/** The person did not give a key. */
export class NoKey extends Error {}

let asking = null;

/** Send a request. Returns the JSON value of the answer, or null if it has none; with `file`, a Blob.
 *  Asks the person for the key when the app wants one. Raises Refused, Away or NoKey. */
export async function request(method, path, { json, body, type, progress, file = false } = {}) {
  for (;;) {
    const key = sessionStorage.getItem(KEPT);
    const { status, content } = await send(method, path, {
      body: json === undefined ? body : JSON.stringify(json),
      type: json === undefined ? type : "application/json",
      progress,
      file,
      key,
    });
    if (file && status < 400) return content;
    const value = parsed(file ? await content.text() : content);
    if (status < 400) return value;
    if (status === 401 && !value?.error) {
      // The host answered: the request did not reach the app.
      asking ??= askForKey(key !== null).finally(() => {
        asking = null;
      });
      await asking;
      continue;
    }
    throw new Refused(status, value?.error ?? { code: "unknown", message: `the app answered ${status}` });
  }
}

/** Uses XMLHttpRequest, since fetch does not tell how much of a file has been sent. */
function send(method, path, { body, type, progress, file, key }) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    xhr.open(method, path);
    if (file) xhr.responseType = "blob";
    if (type) xhr.setRequestHeader("Content-Type", type);
    if (key) xhr.setRequestHeader("x-functions-key", key);
    if (progress) xhr.upload.addEventListener("progress", (event) => progress(event.loaded, event.total));
    else xhr.timeout = PATIENCE;
    xhr.addEventListener("load", () => resolve({ status: xhr.status, content: xhr.response }));
    for (const event of ["error", "timeout", "abort"]) {
      xhr.addEventListener(event, () => reject(new Away("The app does not answer.")));
    }
    xhr.send(body ?? null);
  });
}

function parsed(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

export function hasKey() {
  return sessionStorage.getItem(KEPT) !== null;
}

export function forgetKey() {
  sessionStorage.removeItem(KEPT);
  location.reload();
}

/** The dialog for the key. Rejects with NoKey when it is closed. */
function askForKey(wasWrong) {
  return new Promise((resolve, reject) => {
    const input = el("input", {
      id: "key",
      type: "password",
      autocomplete: "off",
      spellcheck: false,
      required: true,
      "aria-describedby": "key-hint key-problem",
    });
    const problem = el("p", {
      id: "key-problem",
      class: "problem",
      role: "alert",
      textContent: wasWrong ? "That key is not accepted." : "",
    });
    const hint =
      "In Azure: the function app, App keys, default. On a laptop: the terminal prints it. The page keeps it for this tab only.";
    const form = el(
      "form",
      { method: "dialog" },
      el("h2", { id: "key-title", textContent: "Function key" }),
      el("p", {}, el("label", { for: "key", textContent: "Key" }), input),
      el("p", { id: "key-hint", class: "hint", textContent: hint }),
      problem,
      el("p", { class: "buttons" }, el("button", { type: "submit", class: "main", textContent: "Continue" })),
    );
    const dialog = el("dialog", { "aria-labelledby": "key-title" }, form);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      sessionStorage.setItem(KEPT, input.value.trim());
      dialog.close("given");
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (dialog.returnValue === "given") resolve();
      else reject(new NoKey("This page needs a function key."));
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Show the button that forgets the key, if there is a key. */
export function offerToForget() {
  const button = $("forget");
  button.hidden = !hasKey();
  button.onclick = forgetKey;
}
