"""Values of the archive: its tables, its files, and why a batch is not archived."""
