"""What a call is: request, callbacks, dead letters."""
