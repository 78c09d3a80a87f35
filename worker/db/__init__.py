"""The only queries: each function is one statement or a few, inside the caller's transaction."""
