// Modal dialogs: the browser keeps the focus inside, Escape closes, and the focus goes back to where it was.

import { el } from "./dom.js";

let count = 0;

/** Open a dialog with a title. It is removed when it is closed. */
export function openDialog(title, ...content) {
  const id = `dialog-${++count}`;
  const close = el("button", { type: "button", class: "quiet close", textContent: "Close" });
  const heading = el("h2", { id, textContent: title });
  const dialog = el("dialog", { "aria-labelledby": id }, el("div", { class: "title" }, heading, close), ...content);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Ask before something that cannot be undone. Returns true if the person agrees. */
export function confirmed(title, question, verb) {
  return new Promise((resolve) => {
    const yes = el("button", { type: "button", class: "main danger", textContent: verb });
    const no = el("button", { type: "button", textContent: "No" });
    const dialog = openDialog(title, el("p", { textContent: question }), el("p", { class: "buttons" }, no, yes));
    no.addEventListener("click", () => dialog.close());
    yes.addEventListener("click", () => dialog.close("yes"));
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"));
    no.focus();
  });
}
