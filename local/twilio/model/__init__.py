"""What the emulator keeps: the account and its resources, and the rules for them."""
