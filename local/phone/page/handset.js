// One handset: its call, its keys, and its texts.

import { say } from "./link.js";
import { canListen, hush, listen, speak } from "./sound.js";

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];
const APPLICATION = "url";
const LOOPBACK = ["127.0.0.1", "localhost"];

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function clock(moment) {
  return new Date(moment).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

export class Handset {
  constructor(address, numbers, page) {
    this.address = address;
    this.page = page;
    this.calls = new Map();
    this.sounds = true;
    this.language = "en-US";
    this.shown = new Map();
    this.begun = new Set();
    this.unread = 0;
    this.element = document.querySelector("#handset").content.firstElementChild.cloneNode(true);
    this.find("h2").textContent = address;
    this.element.setAttribute("aria-label", `Handset ${address}`);
    this.options(numbers);
    this.wire();
    this.refresh();
  }

  find(selector) {
    return this.element.querySelector(selector);
  }

  focus() {
    this.find(".to").focus();
  }

  options(numbers) {
    for (const select of this.element.querySelectorAll(".to")) {
      for (const number of numbers) select.append(new Option(number, number));
    }
    this.find(".dial .to").append(new Option("a TwiML application by its URL", APPLICATION));
  }

  wire() {
    const click = (selector, action) => this.find(selector).addEventListener("click", action);
    const submit = (selector, action) => this.find(selector).addEventListener("submit", (event) => {
      event.preventDefault();
      action(event.target);
    });
    const call = () => this.current?.sid;

    click(".close", () => this.page.remove(this));
    click(".sound", () => {
      this.sounds = !this.sounds;
      if (!this.sounds) hush();
      this.refresh();
    });
    for (const tab of this.element.querySelectorAll("[role=tab]")) {
      tab.addEventListener("click", () => this.turnTo(tab.dataset.panel));
    }
    click(".answer", () => say({ do: "answer", call: this.incoming?.sid }));
    click(".machine", () => say({ do: "answer", call: this.incoming?.sid, as: "machine" }));
    click(".decline", () => say({ do: "decline", call: this.incoming?.sid }));
    click(".hang-up", () => { hush(); say({ do: "hang_up", call: call() }); });
    submit(".dial", () => {
      const chosen = this.find(".dial .to").value;
      const to = chosen === APPLICATION ? this.find(".url input").value : chosen;
      say({ do: "call", from: this.address, to });
    });
    this.find(".dial .to").addEventListener("change", (event) => {
      this.find(".url").hidden = event.target.value !== APPLICATION;
    });
    submit(".say", (form) => {
      const input = form.querySelector("input");
      if (input.value.trim()) say({ do: "say", call: call(), text: input.value.trim() });
      input.value = "";
    });
    submit(".write", (form) => {
      const input = form.querySelector("input");
      say({ do: "text", from: this.address, to: form.querySelector(".to").value, body: input.value });
      input.value = "";
    });
    this.find(".mic").hidden = !canListen;
    click(".mic", () => {
      hush();
      this.find(".mic").disabled = true;
      const done = () => { this.find(".mic").disabled = false; };
      listen(this.language, (text) => say({ do: "say", call: call(), text }), done);
    });
    for (const key of KEYS) {
      const button = element("button", "", key);
      button.type = "button";
      button.setAttribute("aria-label", { "*": "star", "#": "pound" }[key] ?? key);
      button.addEventListener("click", () => this.press(key));
      this.find(".keys").append(button);
    }
    this.element.addEventListener("keydown", (event) => {
      const typing = event.target.matches("input, select");
      if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
      if (KEYS.includes(event.key) && this.current) this.press(event.key);
    });
  }

  press(key) {
    hush();
    say({ do: "press", call: this.current?.sid, keys: key });
  }

  turnTo(panel) {
    for (const each of this.element.querySelectorAll("[data-panel]")) {
      if (each.matches("[role=tab]")) each.setAttribute("aria-selected", String(each.dataset.panel === panel));
      else each.hidden = each.dataset.panel !== panel;
    }
    if (panel === "texts") {
      this.unread = 0;
      this.refresh();
    }
  }

  // Calls

  get current() {
    const on = (each) => !each.is_over && (each.direction === "inbound" || each.status === "in-progress");
    return [...this.calls.values()].find(on);
  }

  get incoming() {
    return [...this.calls.values()].find((each) => each.direction !== "inbound" && each.status === "ringing");
  }

  get rings() {
    return Boolean(this.incoming);
  }

  catchUp(calls, events) {
    for (const call of calls) this.calls.set(call.sid, call);
    for (const event of events) this.write(event, { aloud: false });
    this.refresh();
  }

  happened(event, state) {
    this.calls.set(state.sid, state);
    this.write(event, { aloud: this.sounds });
    this.refresh();
  }

  write(event, { aloud }) {
    const line = element("li");
    const listening = this.find(".listening");
    if (event.kind !== "Did") listening.textContent = "";
    switch (event.kind) {
      case "Said":
        line.className = "said";
        line.lang = event.language;
        line.textContent = event.times > 1 ? `${event.text} (${event.times} times)` : event.text;
        if (aloud) speak(event.text, event.language, event.times);
        break;
      case "Played":
        line.className = "other";
        line.textContent = event.line;
        this.player(line, event.url, aloud);
        break;
      case "Heard":
        line.className = "heard";
        line.textContent = `${event.by}: ${event.text}`;
        if (aloud) speak(event.text, this.language);
        break;
      case "Did":
        line.className = "did";
        line.textContent = event.what;
        break;
      case "Waiting":
        this.language = event.language;
        listening.textContent = this.hint(event);
        return;
      case "Noted":
        line.className = "wrong";
        line.textContent = event.text;
        break;
      case "Texted":
        return;
      case "StatusChanged":
        if (event.status === "initiated") return;
        line.className = "other";
        line.textContent = event.status === "in-progress" ? "connected" : event.status;
        break;
      default:
        line.className = "other";
        line.textContent = event.line.replace(/^-- |^is /, "");
        if (event.kind === "Ended") hush();
    }
    line.title = clock(event.at);
    this.begin(event);
    this.find(".log").append(line);
    line.scrollIntoView?.({ block: "nearest" });
  }

  // A line above the first of each call.
  begin(event) {
    const call = this.calls.get(event.call);
    if (!call || this.begun.has(call.sid)) return;
    this.begun.add(call.sid);
    const [to, other] = call.direction === "inbound" ? ["to", call.other] : ["from", call.other];
    this.find(".log").append(element("li", "begin", `${clock(event.at)}, call ${to} ${other || "an application"}`));
  }

  hint(event) {
    const count = event.num_digits;
    const keys = count ? `${count} ${count === 1 ? "key" : "keys"}` : "keys";
    const ending = !count && event.finish_on_key ? ` ended by ${event.finish_on_key}` : "";
    const wanted = [event.keys && keys + ending, event.speech && "speech"].filter(Boolean).join(" or ");
    return `It waits ${event.timeout} s for ${wanted}.`;
  }

  player(line, url, aloud) {
    let host = "";
    try { host = new URL(url).hostname; } catch { return; }
    if (!LOOPBACK.includes(host)) return;
    const audio = element("audio");
    audio.controls = true;
    audio.preload = "none";
    audio.src = url;
    audio.autoplay = aloud;
    line.append(audio);
  }

  refresh() {
    const { current, incoming } = this;
    this.find(".ringing").hidden = !incoming;
    if (incoming) this.find(".ringing p").textContent = `${incoming.other} is calling`;
    this.element.classList.toggle("rings", this.rings);
    this.find(".dial").hidden = Boolean(current);
    this.find(".talking").hidden = !current;
    this.find(".sound").textContent = this.sounds ? "Sound on" : "Sound off";
    this.find(".sound").setAttribute("aria-pressed", String(this.sounds));
    this.find(".close").setAttribute("aria-label", `Put handset ${this.address} away`);
    this.find(".unread").textContent = this.unread || "";
    this.tick();
    this.page.ringing();
  }

  tick() {
    const call = this.current;
    let state = this.rings ? "rings" : "";
    if (call) {
      state = call.connected_to ? `talks to ${call.connected_to}` : `with ${call.other || "an application"}`;
      if (call.status === "ringing") state = `calls ${call.other}`;
      if (call.answered_at) {
        const seconds = Math.max(0, Math.round((Date.now() - new Date(call.answered_at)) / 1000));
        state += `, ${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
      }
    }
    const shown = this.find(".state");
    if (shown.textContent !== state) shown.textContent = state;
  }

  // Texts

  text(message) {
    let line = this.shown.get(message.sid);
    if (!line) {
      line = element("li", message.is_mine ? "mine" : "");
      line.append(element("span", "", message.body), element("small"));
      this.shown.set(message.sid, line);
      this.find(".thread").append(line);
      if (!message.is_mine && this.find('.panel[data-panel="texts"]').hidden) this.unread += 1;
      line.scrollIntoView?.({ block: "nearest" });
    }
    const failed = message.error_code ? `, error ${message.error_code}` : "";
    const who = message.is_mine ? `to ${message.other}` : `from ${message.other}, ${message.status}${failed}`;
    line.querySelector("small").textContent = `${clock(message.at)} ${who}`;
    this.refresh();
  }
}
