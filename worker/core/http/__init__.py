"""Outgoing HTTP: what calls of the provider, downloads and hooks have in common."""
