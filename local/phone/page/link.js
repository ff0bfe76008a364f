// The connection of the page to the emulator: JSON over one WebSocket, which reconnects by itself.

const listeners = new Map();
let socket = null;
let wait = 500;

export function on(type, listener) {
  listeners.set(type, [...(listeners.get(type) ?? []), listener]);
}

function tell(type, message) {
  for (const listener of listeners.get(type) ?? []) listener(message);
}

export function say(what) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(what));
  else tell("refused", { problem: "There is no connection to the emulator just now." });
}

export function connect() {
  socket = new WebSocket(`ws://${location.host}/line`);
  socket.addEventListener("open", () => {
    wait = 500;
    tell("up", {});
  });
  socket.addEventListener("message", (event) => {
    const message = JSON.parse(event.data);
    tell(message.type, message);
  });
  socket.addEventListener("close", () => {
    tell("down", {});
    setTimeout(connect, wait);
    wait = Math.min(wait * 2, 8000);
  });
}
