"""Hooks and their deliveries in the database."""
