"""The group `darkroom audit`, and decisions on generations."""
