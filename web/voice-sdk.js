// Twilio's SDK in a file of its own: the page fetches it when somebody goes online.
export { Call, Device, TwilioError } from "@twilio/voice-sdk";
