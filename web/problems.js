// Errors in words that say what to do. The codes are those of Twilio's Voice SDK.

const BAD_TOKEN =
  "Twilio does not accept the token. TWILIO_API_KEY must be a standard API key of this account, and TWILIO_API_SECRET its secret; a restricted key cannot be used.";
const EXPIRED = "The token has expired, and the app gave no new one. Go online again.";
const NETWORK = "The connection to Twilio is lost. Is the network up, and does it let wss://*.twilio.com through?";

const PROBLEMS = {
  20101: BAD_TOKEN,
  20104: EXPIRED,
  20151: BAD_TOKEN,
  31001: "Twilio does not know the TwiML app. TWILIO_TWIML_APP_SID must be one of this account; `python -m ops connect` makes it.",
  31002: "Twilio declined the call. Does the TwiML app's voice URL lead to /api/voice/client?",
  31003: NETWORK,
  31005: "The call broke off: the connection failed, or the app gave Twilio no valid answer.",
  31009: NETWORK,
  31105: "The name of a softphone has letters, digits and underscores only.",
  31201: BAD_TOKEN,
  31202: BAD_TOKEN,
  31203: "Twilio does not know the account, or it is suspended.",
  31204: BAD_TOKEN,
  31205: EXPIRED,
  31206: "Too many calls at once, or too quickly one after another. Wait a little.",
  31207: "The token would last too long. CLIENT_TOKEN_SECONDS may be at most 3600.",
  31401: "The microphone is blocked. Allow it for this page, beside the address of the page.",
  31402: "The microphone cannot be used. Is one plugged in? Does another program use it?",
  31404: "There is nobody by that number or name.",
  31480: "They cannot be reached now.",
  31486: "They are busy.",
  31603: "They declined the call.",
  53000: NETWORK,
  53001: NETWORK,
  53400: "The browser cannot set up the sound of a call.",
  53402: "The browser cannot set up the sound of a call.",
  53405: "No sound gets through. A firewall may block UDP to Twilio.",
};

const WARNINGS = {
  "high-rtt": "The connection is slow: you may hear each other late.",
  "high-jitter": "The connection is unsteady: words may break off.",
  "high-packet-loss": "Sound is getting lost on the way.",
  "high-packets-lost-fraction": "Sound is getting lost on the way.",
  "low-mos": "The sound is poor.",
  "constant-audio-input-level": "Your microphone gives no sound. Is it switched off?",
  "low-bytes-sent": "Your voice does not get through.",
  "low-bytes-received": "No sound comes in.",
  "ice-connectivity-lost": "The connection is lost. Trying to get it back.",
};

export const EXPIRED_CODES = [20104, 31205];
export const REFUSED_CODES = [20101, 20151, 31201, 31202, 31203, 31204, 31207];

/** An error of the SDK, the browser or the app, in words. */
export function inWords(error) {
  const known = PROBLEMS[error.code];
  if (known) return known;
  if (error.name === "NotAllowedError") return PROBLEMS[31401];
  if (error.name === "NotFoundError") return "There is no microphone. Plug one in.";
  if (error.name === "NotReadableError") return PROBLEMS[31402];
  const code = typeof error.code === "number" ? ` (Twilio error ${error.code})` : "";
  return `${error.description ?? error.message}${code}`;
}

export const warningInWords = (name) => WARNINGS[name] ?? `The call quality is poor (${name}).`;
