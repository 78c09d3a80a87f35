"""Outgoing webhooks: subscriptions to events, and their deliveries."""
