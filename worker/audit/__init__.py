"""Whether the books can be believed, and what they say."""
