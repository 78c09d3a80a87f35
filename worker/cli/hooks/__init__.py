"""The group `darkroom hook`."""
