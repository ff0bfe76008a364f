"""TwiML: from XML to a document that was checked against Twilio's schema."""
