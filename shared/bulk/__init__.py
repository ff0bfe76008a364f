"""Many messages from a file."""
