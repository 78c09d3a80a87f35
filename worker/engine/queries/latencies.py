"""Histograms of latencies in the database, one per account, model, and with or without a reference."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.engine.rules.polling import BUCKETS, Histogram

_LOCK = text("""
    INSERT INTO latency (account_id, model, has_reference, counts, updated_at)
    VALUES (:account_id, :model, :has_reference, :empty, now())
    ON CONFLICT (account_id, model, has_reference) DO UPDATE SET updated_at = latency.updated_at
    RETURNING counts""")


def lock(tx: Connection, account_id: UUID, model: str, *, has_reference: bool) -> Histogram:
    """Lock a histogram, made empty if it is new."""
    counts = tx.execute(
        _LOCK,
        {"account_id": account_id, "model": model, "has_reference": has_reference, "empty": [0.0] * BUCKETS},
    ).scalar_one()
    return Histogram(counts=tuple(counts))


def save(
    tx: Connection, account_id: UUID, model: str, *, has_reference: bool, histogram: Histogram, now: datetime
) -> None:
    """Store a histogram that is locked."""
    tx.execute(
        text("""
            UPDATE latency SET counts = :counts, updated_at = :now
            WHERE account_id = :account_id AND model = :model AND has_reference = :has_reference"""),
        {
            "account_id": account_id,
            "model": model,
            "has_reference": has_reference,
            "counts": list(histogram.counts),
            "now": now,
        },
    )


def read(tx: Connection, account_id: UUID) -> dict[tuple[str, bool], Histogram]:
    """Return all histograms of the account, by model and whether there is a reference."""
    rows = tx.execute(
        text("SELECT model, has_reference, counts FROM latency WHERE account_id = :id"), {"id": account_id}
    )
    return {(r.model, r.has_reference): Histogram(counts=tuple(r.counts)) for r in rows}
