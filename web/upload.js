// A file of messages: the page sends it, and then shows how far it has been checked and loaded.

import { request } from "./api.js";
import { confirmed } from "./dialogs.js";
import { $, el, follow, setText } from "./dom.js";
import { plural } from "./words.js";

const NDJSON = /\.(ndjson|jsonl)$/i;
const ENDED = ["done", "failed", "stopped", "discarded"];
const POLL = 700;
const SLOW = 10_000;

let following = 0;
let key = null;

export function start() {
  $("upload-form").addEventListener("change", () => {
    key = null;
  });
  $("upload-form").addEventListener("submit", (event) => {
    event.preventDefault();
    upload($("file").files[0]);
  });
}

async function upload(file) {
  setText($("upload-problem"), "");
  if (!file) {
    setText($("upload-problem"), "Choose a file first.");
    $("file").focus();
    return;
  }
  const button = $("upload-form").querySelector("button");
  button.disabled = true;
  progress("Sending the file", 0, file.size);
  setText($("upload-result"), "");
  $("row-errors").hidden = $("resume").hidden = $("discard").hidden = true;
  try {
    const type = NDJSON.test(file.name) ? "application/x-ndjson" : "text/csv";
    // Every try with this file has the same key: if an answer is lost, the next try does not load the file twice.
    key ??= crypto.randomUUID();
    const query = new URLSearchParams({ partial: $("partial").checked, idempotency_key: key });
    const job = await request("POST", `bulk?${query}`, {
      body: file,
      type,
      progress: (sent, size) => progress("Sending the file", sent, size),
    });
    await followJob(job.id);
  } catch (error) {
    setText($("upload-problem"), error.message);
    $("upload-progress").hidden = true;
  } finally {
    button.disabled = false;
  }
}

async function followJob(id) {
  const mine = ++following;
  let delay = POLL;
  while (mine === following) {
    try {
      const job = await request("GET", `bulk/${encodeURIComponent(id)}`);
      show(job);
      if (ENDED.includes(job.state)) {
        if (job.state === "done") $("upload-form").reset();
        // A load that has stopped keeps its file: uploading it again must not make a second load.
        if (job.state !== "stopped") key = null;
        return;
      }
      delay = POLL;
    } catch (error) {
      setText($("upload-result"), error.message);
      delay = Math.min(delay * 2, SLOW);
    }
    await new Promise((resolve) => setTimeout(resolve, delay));
  }
}

function show(job) {
  const wrong = job.error_count ? `, ${plural(job.error_count, "row")} wrong` : "";
  if (job.state === "queued") progress("Waiting to be checked", 0, 0);
  else if (job.state === "checking") progress(`Checked ${plural(job.checked, "row")}`, 0, 0);
  else progress(`Loaded ${job.loaded.toLocaleString()} of ${plural(job.rows, "row")}${wrong}`, job.loaded, job.rows);
  const results = {
    done: `Done: ${plural(job.loaded, "message")} ${job.loaded === 1 ? "is" : "are"} scheduled${wrong}.`,
    failed: `Failed${job.reason ? `: ${job.reason}` : ""}.`,
    stopped: `Stopped: ${job.reason}.`,
    discarded: `Discarded: ${plural(job.loaded, "message")} ${job.loaded === 1 ? "was" : "were"} scheduled before.`,
  };
  setText($("upload-result"), results[job.state] ?? "");
  $("resume").hidden = $("discard").hidden = job.state !== "stopped";
  $("resume").onclick = () => decide(job.id, "resume");
  $("discard").onclick = async () => {
    const question = "Its file is deleted. Messages that it scheduled stay.";
    if (await confirmed("Discard this upload?", question, "Discard")) await decide(job.id, "discard");
  };
  $("row-errors").hidden = !job.errors.length;
  follow($("row-error-list"), job.errors, (error) => `${error.row}-${error.column}`, () => {
    const cells = [el("td", { class: "number" }), el("td"), el("td")];
    const item = el("tr", {}, ...cells);
    item.update = (error) => {
      [String(error.row), error.column ?? "", error.message].forEach((text, index) => setText(cells[index], text));
    };
    return item;
  });
}

async function decide(id, decision) {
  setText($("upload-problem"), "");
  try {
    await request("POST", `bulk/${encodeURIComponent(id)}/${decision}`);
    await followJob(id);
  } catch (error) {
    setText($("upload-problem"), error.message);
  }
}

function progress(text, value, most) {
  $("upload-progress").hidden = false;
  setText($("upload-state"), text);
  const bar = $("upload-bar");
  if (!most) return bar.removeAttribute("value");
  bar.max = most;
  bar.value = value;
}
