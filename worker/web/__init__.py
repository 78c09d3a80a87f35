"""The web process: identities, the HTTP API and the receiver of the provider's webhooks, over the same rows as all."""
