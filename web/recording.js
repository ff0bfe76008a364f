// A voicemail, which the owner's SMS links to: console#recording=RE... The page fetches it with the key, like everything else.

import { request } from "./api.js";
import { openDialog } from "./dialogs.js";
import { el } from "./dom.js";

export const RECORDING = /^recording=(RE[0-9a-f]{32})$/;

/** Fetch one recording, and show a player for it. */
export async function playRecording(sid) {
  const state = el("p", { role: "status", textContent: "Fetching the recording…" });
  const dialog = openDialog("Voicemail", state);
  try {
    const source = URL.createObjectURL(await request("GET", `recordings/${sid}`, { file: true }));
    dialog.addEventListener("close", () => URL.revokeObjectURL(source));
    state.textContent = sid;
    dialog.append(el("audio", { controls: true, src: source, "aria-label": "Voicemail" }));
  } catch (error) {
    state.textContent = error.message;
  }
}
