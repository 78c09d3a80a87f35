"""What is known about one upload, beside its bytes."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """One upload of one account; `type` is what its first bytes say."""

    id: str
    account: str
    kind: str
    name: str
    type: str
    size_bytes: int
    sha256: str
    created_at: float
    expires_at: float | None

    def has_expired(self, now: float) -> bool:
        """Whether it can no longer be used."""
        return self.expires_at is not None and now >= self.expires_at
