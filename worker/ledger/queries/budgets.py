"""What batches and owners may commit, the events of budgets that are nearly used, and what a model last reserved."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.db import outbox
from worker.core.rules import events

# Owners without a cap are locked too: all are in the order of their names, so that rounds of two accounts which serve
# the same owners do not wait in a circle.
_LEFT = text("""
    SELECT m.owner, c.monthly_cap - m.committed AS credits FROM owner_month m
    LEFT JOIN owner_cap c ON c.owner = m.owner
    WHERE m.owner = ANY(:owners) AND m.month = :month ORDER BY m.owner FOR NO KEY UPDATE OF m""")
_BEGIN_MONTH = text("""
    INSERT INTO owner_month (owner, month, committed)
    SELECT owner, :month, 0 FROM unnest(CAST(:owners AS text[])) owner ORDER BY owner
    ON CONFLICT DO NOTHING""")


def month_of(instant: datetime) -> date:
    """Return the first day of the instant's month, UTC."""
    return instant.astimezone(UTC).date().replace(day=1)


def lock_left(tx: Connection, owners: Iterable[str], *, now: datetime) -> dict[str, int]:
    """Lock the owners' months, in the order of their names, and give what each that has a cap may still commit."""
    values = {"owners": sorted(set(owners)), "month": month_of(now)}
    tx.execute(_BEGIN_MONTH, values)
    return {row.owner: row.credits for row in tx.execute(_LEFT, values) if row.credits is not None}


_OWNER_CAP = text("SELECT monthly_cap FROM owner_cap WHERE owner = :owner")


def owner_cap(tx: Connection, owner: str) -> int | None:
    """Return an owner's monthly cap; None: it has none."""
    cap: int | None = tx.execute(_OWNER_CAP, {"owner": owner}).scalar()
    return cap


def set_owner_cap(tx: Connection, owner: str, credits_: int | None) -> int | None:
    """Set, or with None lift, an owner's monthly cap; gives the one before."""
    before: int | None = tx.execute(
        text("SELECT monthly_cap FROM owner_cap WHERE owner = :owner FOR UPDATE"), {"owner": owner}
    ).scalar()
    if credits_ is None:
        tx.execute(text("DELETE FROM owner_cap WHERE owner = :owner"), {"owner": owner})
    else:
        tx.execute(
            text("""
                INSERT INTO owner_cap (owner, monthly_cap) VALUES (:owner, :credits)
                ON CONFLICT (owner) DO UPDATE SET monthly_cap = excluded.monthly_cap"""),
            {"owner": owner, "credits": credits_},
        )
    return before


def set_batch_cap(tx: Connection, batch_id: UUID, credits_: int | None) -> int | None:
    """Set, or with None lift, a batch's cap; gives the one before."""
    before: int | None = tx.execute(
        text("SELECT credit_cap FROM batch WHERE id = :id FOR NO KEY UPDATE"), {"id": batch_id}
    ).scalar_one()
    tx.execute(text("UPDATE batch SET credit_cap = :credits WHERE id = :id"), {"credits": credits_, "id": batch_id})
    return before


def committed_by_batch(tx: Connection, batch_id: UUID) -> int:
    """Return the credits that a batch has committed."""
    found: int = tx.execute(text("SELECT committed FROM batch WHERE id = :id"), {"id": batch_id}).scalar_one()
    return found


def committed_by_owner(tx: Connection, owner: str, *, now: datetime) -> int:
    """Return the credits that an owner has committed in the instant's month."""
    found: int | None = tx.execute(
        text("SELECT committed FROM owner_month WHERE owner = :owner AND month = :month"),
        {"owner": owner, "month": month_of(now)},
    ).scalar()
    return found or 0


def take_from_wallet(tx: Connection, account_id: UUID, credits_: int) -> None:
    """Count credits that were just held against the last reading of the wallet."""
    tx.execute(
        text("UPDATE account SET wallet_left = wallet_left - :credits WHERE id = :id"),
        {"credits": credits_, "id": account_id},
    )


HOLD = """greatest(job.price, coalesce((
    SELECT reserved FROM model_price m WHERE m.account_id = {account_id} AND m.model = job.model), 0))"""
"""What a ``job`` holds when it is admitted: its list price, or the provider's last figure if that was higher."""
NEXT = f"""(
    SELECT first.price FROM unnest({{batch}}.models) m(model) CROSS JOIN LATERAL (
        SELECT {HOLD.replace("{account_id}", "{account}")} AS price, line FROM job
        WHERE batch_id = {{batch}}.id AND job.model = m.model AND state = 'pending'
            AND (job.account_id IS NULL OR job.account_id = {{account}}) ORDER BY line LIMIT 1) first
    WHERE NOT EXISTS (
        SELECT FROM model_pause p
        WHERE p.account_id = {{account}} AND p.model = m.model AND p.paused_at IS NOT NULL)
    ORDER BY first.line LIMIT 1)"""
"""What the next pending job of a ``batch`` holds that ``account`` may begin, and whose model is not paused; NULL: none.

Each model's first job is found by the index, however many of a paused model wait before it. Of a batch of a pool those
that another account has begun are passed over; they are no more than that account had open at once.
"""
# A figure that is known already is not written again: the row is shared by all jobs of the model.
_NOTE = text("""
    INSERT INTO model_price (account_id, model, reserved, seen_at)
    SELECT :account_id, :model, :reserved, :now WHERE NOT EXISTS (
        SELECT FROM model_price WHERE account_id = :account_id AND model = :model AND reserved = :reserved)
    ON CONFLICT (account_id, model) DO UPDATE SET reserved = excluded.reserved, seen_at = excluded.seen_at""")


def note_price(tx: Connection, *, account_id: UUID, model: str, held: int, reserved: int, now: datetime) -> None:
    """Remember the provider's figure when it is not what was held; the last lock that a transaction takes."""
    if reserved != held:
        tx.execute(_NOTE, {"account_id": account_id, "model": model, "reserved": reserved, "now": now})


BEFORE_ANY = -1
"""What is less than every budget's use: for a cap that was changed, every threshold below counts as reached now."""


def tell_of_batch(
    tx: Connection, batch: Mapping[str, str], *, before: int, after: int, cap: int, price: int = 1
) -> None:
    """Write the events of the thresholds that a batch, which is locked, reaches by committing from before to after."""
    about = {"scope": "batch", "owner": batch["owner"], "month": None, "batch": dict(batch)}
    _tell_of_thresholds(tx, about, f"batch:{batch['id']}", before=before, after=after, cap=cap, price=price)


def tell_of_owner(
    tx: Connection, owner: str, month: date, *, before: int, after: int, cap: int, price: int = 1
) -> None:
    """Write the events of the thresholds that an owner reaches in a month."""
    about = {"scope": "owner", "owner": owner, "month": f"{month:%Y-%m}", "batch": None}
    _tell_of_thresholds(tx, about, f"owner:{owner}:{month:%Y-%m}", before=before, after=after, cap=cap, price=price)


def _tell_of_thresholds(
    tx: Connection, about: Mapping[str, Any], subject: str, *, before: int, after: int, cap: int, price: int
) -> None:
    for reached in events.crossed(before=before, after=after, cap=cap, price=price):
        data = {**about, "credits": {"committed": after, "cap": cap}}
        outbox.emit(tx, reached, data, subject=subject, once_key=f"{subject}:{cap}")
