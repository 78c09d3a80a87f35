"""What a hook may be, when a delivery is tried again, and what is sent."""
