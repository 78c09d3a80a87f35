"""Metrics of the whole fleet, read from the database."""
