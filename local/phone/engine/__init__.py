"""Carries out TwiML documents on calls."""
