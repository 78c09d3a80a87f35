"""The group `darkroom account`."""
