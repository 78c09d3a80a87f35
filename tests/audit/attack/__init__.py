"""Attacks on the books, by every role and on every table: what is tried, and what stops or names it."""
