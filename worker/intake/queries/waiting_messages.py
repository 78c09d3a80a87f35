"""Messages whose references are still to be fetched: kept, claimed under a lease, and removed with their outcome."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.intake.rules.delivery import ENQUEUE, Delivery

LEASE = timedelta(minutes=1)
"""How long a claim lasts; it is renewed while the node works on it, so that another takes over soon after a crash."""


class ClaimLost(Exception):
    """Another node has the message now, or is done with it; nothing of this transaction may be kept."""


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A message that this process has for the time of its lease."""

    id: UUID
    fence: int
    tries: int
    """Claims that were not given back, this one included."""
    delivery: Delivery


_KEEP = text("""
    INSERT INTO waiting_message (id, account_id, name, sha256, body, compression, received_at, due_at)
    VALUES (:id, :account_id, :name, :sha256, :body, :compression, :now, :now)
    ON CONFLICT (account_id, name, sha256) DO NOTHING""")


def keep(tx: Connection, account_id: UUID, delivery: Delivery, *, message_id: UUID, now: datetime) -> None:
    """Keep a message that was understood; its redelivery changes nothing."""
    values = {
        "id": message_id,
        "account_id": account_id,
        "name": delivery.name,
        "sha256": delivery.sha256,
        "body": delivery.body,
        "compression": delivery.compression or None,
        "now": now,
    }
    tx.execute(_KEEP, values)


_CLAIM = text("""
    UPDATE waiting_message SET fence = fence + 1, tries = tries + 1, due_at = :until
    WHERE id = (SELECT id FROM waiting_message WHERE account_id = :account_id AND due_at <= :now
                ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id, fence, tries, name, sha256, body, compression""")


def claim(tx: Connection, account_id: UUID, *, now: datetime) -> Claimed | None:
    """Claim the message that has been due for longest, if there is one."""
    row: Any = tx.execute(_CLAIM, {"account_id": account_id, "now": now, "until": now + LEASE}).one_or_none()
    if row is None:
        return None
    return Claimed(id=row.id, fence=row.fence, tries=row.tries, delivery=_delivery(row))


def _delivery(row: Any) -> Delivery:
    """Return the message as it was delivered, as far as it was kept."""
    return Delivery(
        queue=ENQUEUE,
        task=ENQUEUE,
        message_id=None if row.name == f"sha256:{row.sha256}" else row.name,
        content_type="application/json",
        compression=row.compression,
        body=bytes(row.body),
        size_bytes=len(row.body),
        sha256=row.sha256,
    )


_RENEW = text("""
    UPDATE waiting_message w SET due_at = :until
    FROM unnest(CAST(:ids AS uuid[]), CAST(:fences AS bigint[])) AS mine(id, fence)
    WHERE w.id = mine.id AND w.fence = mine.fence RETURNING w.id""")


def renew(tx: Connection, claims: Collection[Claimed], *, now: datetime) -> set[UUID]:
    """Lengthen the leases, and return the ids of the messages that are still this process's."""
    if not claims:
        return set()
    values = {"ids": [each.id for each in claims], "fences": [each.fence for each in claims], "until": now + LEASE}
    return set(tx.execute(_RENEW, values).scalars())


_GIVE_BACK = text("""
    UPDATE waiting_message SET due_at = :due_at, fence = fence + 1, tries = tries - 1
    WHERE id = :id AND fence = :fence""")


def give_back(tx: Connection, claimed: Claimed, *, due_at: datetime) -> None:
    """Let any node claim the message from ``due_at`` on, if it is still this process's; the try does not count."""
    tx.execute(_GIVE_BACK, {"id": claimed.id, "fence": claimed.fence, "due_at": due_at})


def remove(tx: Connection, claimed: Claimed) -> None:
    """Remove the message in the transaction that writes its outcome; raise ClaimLost when it is another's now."""
    query = text("DELETE FROM waiting_message WHERE id = :id AND fence = :fence")
    if not tx.execute(query, {"id": claimed.id, "fence": claimed.fence}).rowcount:
        raise ClaimLost


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """How many messages wait for their references, and since when the first one does."""

    messages: int
    oldest_at: datetime | None

    def __str__(self) -> str:
        """Say it in a few words."""
        return f"{self.messages:,} wait for their references"


def count(tx: Connection) -> Waiting:
    """Count the messages of all accounts whose references are still to be fetched."""
    query = text("SELECT count(*) AS messages, min(received_at) AS oldest_at FROM waiting_message")
    return Waiting(**tx.execute(query).mappings().one())
