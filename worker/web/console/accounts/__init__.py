"""Pages about accounts at the provider."""
