"""API keys: who holds one, what it may do, and whether it still works."""

import secrets
from dataclasses import dataclass
from enum import StrEnum

PREFIX = "rvya_sk_"
SCOPES = (
    "models:read",
    "generations:create",
    "generations:read",
    "files:create",
    "files:read",
    "credits:read",
    "webhooks:manage",
    "chat:create",
    "chat:read",
)
"""The documented scopes; a new key has all of them."""


class KeyState(StrEnum):
    """Whether a key works."""

    ACTIVE = "active"
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """One key of one account; `id` may be shown, `secret` may not."""

    id: str
    secret: str
    account: str
    scopes: tuple[str, ...] = SCOPES
    state: KeyState = KeyState.ACTIVE


def new_key(account: str, secret: str | None = None, scopes: tuple[str, ...] = SCOPES) -> ApiKey:
    """An active key with this secret, or a random one."""
    secret = secret or f"{PREFIX}{secrets.token_hex(20)}"
    return ApiKey(id=f"key_{secrets.token_hex(6)}", secret=secret, account=account, scopes=scopes)
