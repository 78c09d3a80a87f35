"""The session with the database, its clock, its rights, and how changes are written together."""
