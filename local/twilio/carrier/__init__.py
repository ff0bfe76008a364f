"""What happens to messages and calls: they progress, and webhooks and callbacks report it."""
