"""The telephone exchange: calls on a clock of its own, without I/O."""
