"""Pages about catalogs: their items, plans and review."""
