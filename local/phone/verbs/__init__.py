"""TwiML's verbs, each by the rules of its page in Twilio's documentation."""
