"""Starts the parts of the laptop edition, watches them, and stops them."""
