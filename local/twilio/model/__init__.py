"""What the emulator keeps: the account, its resources, and the rules for what they may be."""
