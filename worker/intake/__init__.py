"""How requests become a batch: all checked and their references stored first, then written in one transaction."""
