"""Downloads from addresses that others name."""
