"""Accounts at the provider: limits, pauses, keys."""
