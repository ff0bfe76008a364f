// Twilio's SDK, in a file of its own: fetched once somebody goes online.
export { Call, Device, TwilioError } from "@twilio/voice-sdk";
