"""The HTTP API below /api/v1: each operation with its declaration, from which the OpenAPI document is made."""
