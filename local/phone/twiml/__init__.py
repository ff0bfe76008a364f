"""TwiML: XML is parsed, and checked against Twilio's schema."""
