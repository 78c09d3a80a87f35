"""Whether a create is a first attempt or a replay, and of what."""

import asyncio
import hashlib
import json
from dataclasses import dataclass, field

from ops.sandbox.choices import Comparison, KeyScope
from ops.sandbox.keys import ApiKey
from ops.sandbox.settings import Settings
from ops.sandbox.web.errors import ApiError, refused

Slot = tuple[str, str]
"""Whose key, and the key."""


@dataclass(kw_only=True)
class Record:
    """What became of the first request with a key: still in work, a generation, or a remembered refusal."""

    fingerprint: str
    at: float
    task_id: str | None = None
    refusal: ApiError | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_in_flight(self) -> bool:
        """Whether the first request has not been answered yet."""
        return self.task_id is None and self.refusal is None


class Idempotency:
    """The keys that are remembered."""

    def __init__(self) -> None:
        self._records: dict[Slot, Record] = {}

    def find(self, slot: Slot, now: float, window_s: float) -> Record | None:
        """What is remembered under this key; a key past its window is not."""
        record = self._records.get(slot)
        if record and now - record.at >= window_s and not record.is_in_flight:
            return None
        return record

    def claim(self, slot: Slot, fingerprint: str, now: float) -> Record:
        """The key belongs to this request, which is now in flight."""
        record = self._records[slot] = Record(fingerprint=fingerprint, at=now)
        return record

    def release(self, slot: Slot) -> None:
        """The key is free again; who waited for it may try."""
        self._records.pop(slot).done.set()

    def remember(self, slot: Slot, fingerprint: str, at: float, task_id: str) -> None:
        """The key stands for this generation; it was first seen at `at`."""
        record = self._records.get(slot)
        if record is None or not record.is_in_flight:
            record = self.claim(slot, fingerprint, at)
        record.task_id = task_id
        record.done.set()

    def burn(self, slot: Slot, fingerprint: str, at: float, refusal: ApiError) -> None:
        """The key stands for this refusal."""
        record = self._records.get(slot)
        if record is None or not record.is_in_flight:
            record = self.claim(slot, fingerprint, at)
        record.refusal = refusal
        record.done.set()


def slot_of(key: str, caller: ApiKey, settings: Settings) -> Slot:
    """Where a key is looked up; raises ApiError for one that is empty or too long."""
    if not key or len(key) > settings.idempotency_key_max or not key.isprintable():
        limit = settings.idempotency_key_max
        raise refused(f"Idempotency-Key must have 1 to {limit} printable characters.")
    owner = caller.account if settings.idempotency_scope is KeyScope.ACCOUNT else caller.id
    return owner, key


def fingerprint_of(body: bytes, settings: Settings) -> str:
    """Equal for bodies that count as the same."""
    if settings.idempotency_compare is Comparison.CANONICAL:
        body = _canonical(body)
    return hashlib.sha256(body).hexdigest()


def _canonical(body: bytes) -> bytes:
    try:
        return json.dumps(json.loads(body), sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        return body
