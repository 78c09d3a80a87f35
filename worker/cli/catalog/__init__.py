"""The groups `darkroom catalog` and `darkroom schedule`."""
