// The page: which handsets are open, and where each message goes.

import { Handset } from "./handset.js";
import { connect, on, say } from "./link.js";
import { showRequests, startOver } from "./requests.js";

const PEOPLE = ["+12025550101", "+12025550102", "+12025550103", "client:kate"];
const KEPT = "handsets";

const byAddress = new Map();
const live = document.querySelector("#live");
const problem = document.querySelector("#problem");
let numbers = [];

function kept() {
  try {
    const addresses = JSON.parse(localStorage.getItem(KEPT));
    if (Array.isArray(addresses) && addresses.length) return addresses.filter((each) => typeof each === "string");
  } catch { /* nothing usable was kept */ }
  return PEOPLE.slice(0, 1);
}

function keep() {
  localStorage.setItem(KEPT, JSON.stringify([...byAddress.keys()]));
}

function add(address) {
  if (byAddress.has(address)) return byAddress.get(address).focus();
  say({ do: "open", address });
}

function remove(handset) {
  say({ do: "close", address: handset.address });
  byAddress.delete(handset.address);
  handset.element.remove();
  keep();
}

function ringing() {
  const rings = [...byAddress.values()].some((each) => each.rings);
  document.title = rings ? "Ringing: Phone" : "Phone";
}

on("up", () => {
  live.textContent = "connected";
  live.className = "on";
});
on("down", () => {
  live.textContent = "no connection, trying again";
  live.className = "off";
});
on("hello", (message) => {
  numbers = message.numbers;
  document.querySelector("#account").textContent = `${message.account_sid}, numbers ${numbers.join(", ")}`;
  startOver();
  const open = byAddress.size ? [...byAddress.keys()] : kept();
  for (const handset of byAddress.values()) handset.element.remove();
  byAddress.clear();
  for (const address of open) say({ do: "open", address });
});
on("opened", (message) => {
  let handset = byAddress.get(message.address);
  if (!handset) {
    handset = new Handset(message.address, numbers, { remove, ringing });
    byAddress.set(message.address, handset);
    document.querySelector("#handsets").append(handset.element);
    keep();
  }
  handset.catchUp(message.calls, message.events);
});
on("event", ({ event, state }) => byAddress.get(state.party)?.happened(event, state));
on("texts", ({ texts }) => {
  for (const text of texts) byAddress.get(text.person)?.text(text);
});
on("requests", ({ requests }) => showRequests(requests));
on("refused", (message) => {
  problem.textContent = message.problem;
  problem.hidden = false;
  clearTimeout(problem.timer);
  problem.timer = setTimeout(() => { problem.hidden = true; }, 8000);
});

document.querySelector("#add").addEventListener("submit", (event) => {
  event.preventDefault();
  add(event.target.elements.address.value.trim());
  event.target.reset();
});
for (const person of PEOPLE) {
  const option = document.createElement("option");
  option.value = person;
  document.querySelector("#people").append(option);
}
setInterval(() => { for (const handset of byAddress.values()) handset.tick(); }, 1000);
connect();
