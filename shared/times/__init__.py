"""Instants, recurrence, quiet hours and business hours."""
