"""One person: timeline and erasure."""
