// States in words, and the groups of the overview that they belong to.

export const WORDS = {
  pending: "waiting",
  deferred: "waiting, quiet hours",
  held: "held",
  posting: "being sent",
  unknown: "being looked up",
  submitted: "with Twilio",
  sent: "sent",
  delivered: "delivered",
  read: "read",
  undelivered: "undelivered",
  failed: "failed",
  canceled: "canceled",
  expired: "expired",
  suppressed: "opted out",
  unresolved: "unresolved",
  ringing: "ringing",
  "in-progress": "in progress",
  completed: "completed",
  busy: "busy",
  "no-answer": "no answer",
};

/** The groups of the overview, in the order of a message's life. */
export const GROUPS = {
  waiting: { title: "Waiting", states: ["pending", "deferred", "held"], hint: "next 7 days" },
  sending: { title: "Sending", states: ["posting", "unknown", "submitted", "sent"], hint: "last 24 hours" },
  delivered: { title: "Delivered", states: ["delivered", "read"], hint: "last 24 hours" },
  failed: { title: "Failed", states: ["failed", "undelivered"], hint: "last 24 hours" },
  stopped: { title: "Not sent", states: ["canceled", "expired", "suppressed"], hint: "last 24 hours" },
  unresolved: { title: "Unresolved", states: ["unresolved"], hint: "you decide" },
};

const GROUP_OF = Object.fromEntries(
  Object.entries(GROUPS).flatMap(([group, { states }]) => states.map((state) => [state, group])),
);
Object.assign(GROUP_OF, {
  ringing: "sending",
  "in-progress": "sending",
  completed: "delivered",
  busy: "failed",
  "no-answer": "failed",
});

export const groupOf = (state) => GROUP_OF[state] ?? "stopped";
export const wordsFor = (state) => WORDS[state] ?? state;
export const isWaiting = (state) => GROUPS.waiting.states.includes(state);
export const isFinal = (state) => ["delivered", "failed", "stopped"].includes(groupOf(state));

/** A price without its minus: Twilio gives prices with one. */
export const cost = (price) => price.replace(/^-/, "");

export function plural(count, one, many = `${one}s`) {
  return `${count.toLocaleString()} ${count === 1 ? one : many}`;
}
