"""What happens to messages and calls: how they progress, and the webhooks and callbacks that tell of it."""
