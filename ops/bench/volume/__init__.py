"""How long work takes on many lines, items, jobs and entries."""
