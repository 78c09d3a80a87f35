"""Maintenance in the database: what is due, who has taken it, and what it found out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.accounts.queries.accounts import OF_POOLS

_CONFIGURE = text("""
    INSERT INTO maintenance (account_id, kind, every_s, due_at, done_at)
    VALUES (:account_id, :kind, :every_s, :now, :now)
    ON CONFLICT (account_id, kind) DO UPDATE SET every_s = excluded.every_s,
        due_at = least(maintenance.due_at, :now + make_interval(secs => excluded.every_s))""")


def configure(tx: Connection, account_id: UUID, every: Mapping[str, timedelta], *, now: datetime) -> None:
    """Set the interval of each kind; a new kind is due at once."""
    rows = [
        {"account_id": account_id, "kind": kind, "every_s": span.total_seconds(), "now": now}
        for kind, span in every.items()
    ]
    tx.execute(_CONFIGURE, rows)


@dataclass(frozen=True, kw_only=True)
class Due:
    """What was taken, and when the next is due; None when nothing ever is."""

    kinds: tuple[str, ...]
    next_at: datetime | None


# The outer query sees the rows as they were, so the later times of what was taken are put in their place. What is due
# later than its interval was dated by a clock that was wrong.
_CLAIM = text("""
    WITH taken AS (
        UPDATE maintenance SET last_run_at = :now, due_at = :now + make_interval(secs => every_s)
        WHERE account_id = :account_id AND (due_at <= :now
            OR due_at > :now + make_interval(secs => every_s + 60)) RETURNING kind, due_at)
    SELECT (SELECT array_agg(kind ORDER BY kind) FROM taken) AS kinds, min(coalesce(t.due_at, m.due_at)) AS next_at
    FROM maintenance m LEFT JOIN taken t USING (kind) WHERE m.account_id = :account_id""")


def claim_due(tx: Connection, account_id: UUID, *, now: datetime) -> Due:
    """Claim all due maintenance jobs for this process; each is due again after its interval."""
    row = tx.execute(_CLAIM, {"account_id": account_id, "now": now}).one()
    return Due(kinds=tuple(row.kinds or ()), next_at=row.next_at)


def schedule_now(tx: Connection, account_id: UUID, kind: str, *, due_at: datetime) -> None:
    """Make the job due at this instant, unless it is due earlier."""
    tx.execute(
        text("""
            UPDATE maintenance SET due_at = least(due_at, :due_at) WHERE account_id = :account_id AND kind = :kind"""),
        {"account_id": account_id, "kind": kind, "due_at": due_at},
    )


_NOTE_END = text("""
    UPDATE maintenance SET error = :error, done_at = CASE WHEN CAST(:error AS text) IS NULL THEN :now ELSE done_at END
    WHERE account_id = :account_id AND kind = :kind AND (
        error IS DISTINCT FROM :error OR (:error IS NULL AND done_at < :now - interval '1 minute'))""")


def note_end(tx: Connection, account_id: UUID, kind: str, *, error: str | None, now: datetime) -> None:
    """Record the end of a maintenance job, and its error; the same result within a minute writes nothing."""
    tx.execute(_NOTE_END, {"account_id": account_id, "kind": kind, "error": error, "now": now})


STUCK_AFTER = timedelta(minutes=15)
"""Maintenance that was handed out for so long, and three times, without an end is stuck."""


UNSERVED_AFTER = timedelta(minutes=2)
"""A node of an account hands out maintenance every few seconds."""


@dataclass(frozen=True, kw_only=True)
class Failing:
    """A kind of maintenance that fails, or that is handed out and does not end."""

    kind: str
    done_at: datetime
    error: str | None


_FAILING = text("""
    SELECT DISTINCT ON (kind) kind, done_at, error FROM maintenance
    WHERE error IS NOT NULL OR last_run_at - done_at > greatest(make_interval(secs => 3 * every_s), :stuck_after)
    ORDER BY kind, done_at""")


def failing(tx: Connection) -> list[Failing]:
    """Return the kinds of maintenance that do not get done, of whichever account."""
    rows = tx.execute(_FAILING, {"stuck_after": STUCK_AFTER}).mappings()
    return [Failing(kind=row["kind"], done_at=row["done_at"], error=row["error"]) for row in rows]


# Of a pool only what the account has begun waits for it.
_UNSERVED = text(f"""
    SELECT a.name FROM account a
    WHERE (EXISTS (SELECT FROM batch b
            WHERE b.account_id = a.id AND b.pool IS NULL AND b.state = 'open' AND b.has_pending)
        OR EXISTS (SELECT FROM job j
            WHERE j.batch_id IN ({OF_POOLS.format(account="a.id")}) AND j.state = 'pending' AND j.account_id = a.id))
      AND NOT EXISTS (
          SELECT FROM maintenance m
          WHERE m.account_id = a.id AND m.last_run_at > clock_timestamp() - CAST(:lately AS interval))
    ORDER BY a.name""")


def unserved(tx: Connection) -> list[str]:
    """Return the names of accounts with pending jobs for which no node has done maintenance lately."""
    return list(tx.execute(_UNSERVED, {"lately": UNSERVED_AFTER}).scalars())


@dataclass(frozen=True, kw_only=True)
class Unended:
    """A generation whose end is not known, and the provider's id of it."""

    generation_id: UUID
    provider_id: str


_UNENDED = text("""
    SELECT g.id AS generation_id, g.provider_id FROM generation g
    LEFT JOIN LATERAL (SELECT max(read_at) AS at FROM generation_reading r WHERE r.generation_id = g.id) seen ON true
    WHERE g.account_id = :account_id AND g.state IN ('in_doubt', 'accepted') AND g.provider_id IS NOT NULL
      AND (g.state = 'in_doubt' OR g.accepted_at < :accepted_before)
      AND (seen.at IS NULL OR seen.at <= :now - coalesce((
          SELECT make_interval(secs => every_s * 0.9) FROM maintenance m
          WHERE m.account_id = :account_id AND m.kind = :reread), interval '0'))
    ORDER BY seen.at NULLS FIRST, g.id LIMIT :limit""")


def unended(tx: Connection, account_id: UUID, *, accepted_before: datetime, limit: int, now: datetime) -> list[Unended]:
    """Return generations in doubt, and old ones that have not ended, the least recently checked first.

    Those that were asked about since the last time are left out.
    """
    values = {
        "account_id": account_id,
        "accepted_before": accepted_before,
        "limit": limit,
        "now": now,
        "reread": MaintenanceName.REREAD,
    }
    rows = tx.execute(_UNENDED, values).mappings()
    return [Unended(**row) for row in rows]


_ADD_READING = text("""
    INSERT INTO generation_reading (id, generation_id, read_at, status, reserved, final, code, message)
    VALUES (:id, :generation_id, :now, :status, :reserved, :final, :code, :message)""")


def add_reading(
    tx: Connection, *, reading_id: UUID, generation_id: UUID, now: datetime, said: Mapping[str, Any]
) -> None:
    """Store the provider's status, reserved, final, code and message, each None where it is missing."""
    tx.execute(_ADD_READING, {"id": reading_id, "generation_id": generation_id, "now": now, **said})


class MaintenanceName(StrEnum):
    """Jobs that the engine makes due at once, or that SQL reads the times of."""

    WALLET = "wallet"
    SEAL = "seal"
    REREAD = "reread"
    STORE = "store"
