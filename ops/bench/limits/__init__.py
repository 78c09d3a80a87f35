"""How much of the limits of a provider is used."""
