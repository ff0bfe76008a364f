"""Twilio's request, our reply, and the rules for TwiML from outside."""
