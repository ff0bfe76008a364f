"""The HTTP side of the emulator: Twilio's REST API, the control API and the inspector page."""
