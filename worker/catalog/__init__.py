"""A catalog's images are kept fresh: planned, priced, rendered, looked at, and only then live."""
