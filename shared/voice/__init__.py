"""Call flows and Twimlets: a request and the settings in, TwiML out; no I/O."""
