"""The send-once engine under texts and calls."""
