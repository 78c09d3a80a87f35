"""`darkroom submit`, and what it reads."""
