"""Postgres and Valkey out of Python wheels, for one machine and without an installation."""
