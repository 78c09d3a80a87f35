"""Which steps are due, and which of them a round of dispatch has handed out."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.rules.batch_request import Priority
from worker.core.rules.step import QUEUED_LEASE, StepKind
from worker.engine.queries.steps import Ticket
from worker.engine.rules.ranking import Due

MOST_RANKED = 500
"""So many due steps of a class are looked at, at the most, when not all can be served: the oldest."""

_IS_DUE = "due_at <= :now AND (lease_until IS NULL OR lease_until <= :now)"
_IS_FREE = "kind = 'collect' AND attempts = 0"

_LEASE_FREE = text(f"""
    UPDATE step SET fence = fence + 1, lease_until = :until
    WHERE job_id IN (
        SELECT job_id FROM step WHERE account_id = :account_id AND {_IS_DUE} AND {_IS_FREE}
        ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING job_id, kind, fence, due_at""")


def lease_free(tx: Connection, account_id: UUID, *, limit: int, now: datetime) -> list[Ticket]:
    """Take up to ``limit`` due steps that ask nothing of the provider: first tries to collect.

    They are leased for as long as a message may lie in the broker. A later try asks for the address anew.
    """
    rows = tx.execute(
        _LEASE_FREE, {"account_id": account_id, "now": now, "until": now + QUEUED_LEASE, "limit": limit}
    ).all()
    return _tickets(sorted(rows, key=lambda row: row.due_at), now)


_LEASE_ALL = text(f"""
    WITH due AS MATERIALIZED (
        SELECT job_id FROM step
        WHERE account_id = :account_id AND {_IS_DUE} AND NOT ({_IS_FREE}) AND kind = ANY(:kinds)
        ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED),
    leased AS (
        UPDATE step SET fence = fence + 1, lease_until = :until
        WHERE job_id IN (SELECT job_id FROM due) AND (SELECT count(*) FROM due) < :limit
        RETURNING job_id, kind, fence, due_at)
    SELECT (SELECT count(*) FROM due) AS due, leased.* FROM (SELECT) one LEFT JOIN leased ON true""")


def lease_all(
    tx: Connection, account_id: UUID, *, kinds: Collection[StepKind], fewer_than: int, now: datetime
) -> list[Ticket] | None:
    """Take every due step that asks something of the provider, longest due first; None, and nothing, if too many are.

    With ``fewer_than`` slots there is one for each and one to spare; else somebody has to choose (``due``, ``lease``).
    """
    rows = tx.execute(
        _LEASE_ALL,
        {
            "account_id": account_id,
            "now": now,
            "until": now + QUEUED_LEASE,
            "kinds": list(kinds),
            "limit": fewer_than,
        },
    ).all()
    if rows[0].due >= fewer_than:
        return None
    return _tickets(sorted((r for r in rows if r.job_id is not None), key=lambda row: row.due_at), now)


_DUE = text(f"""
    SELECT s.job_id, s.kind, s.priority, s.due_at, s.since, s.looked_at, j.model,
           j.reference_hash IS NOT NULL AS has_reference
    FROM unnest(CAST(:classes AS text[])) class CROSS JOIN LATERAL (
        SELECT * FROM step
        WHERE account_id = :account_id AND priority = class AND {_IS_DUE} AND NOT ({_IS_FREE}) AND kind = ANY(:kinds)
        ORDER BY kind = 'poll', due_at LIMIT :most) s
    JOIN job j ON j.id = s.job_id""")


def due(tx: Connection, account_id: UUID, *, kinds: Collection[StepKind], now: datetime) -> list[Due]:
    """Return the due steps of each class that a choice is made from: others before polls, longest due first."""
    rows = tx.execute(
        _DUE,
        {
            "account_id": account_id,
            "now": now,
            "kinds": list(kinds),
            "classes": list(Priority),
            "most": MOST_RANKED,
        },
    )
    found = []
    for row in rows:
        values: dict[str, Any] = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
        found.append(Due(**values | {"kind": StepKind(row.kind), "priority": Priority(row.priority)}))
    return found


_LEASE = text(f"""
    UPDATE step SET fence = fence + 1, lease_until = :until
    WHERE job_id IN (SELECT job_id FROM step WHERE job_id = ANY(:ids) AND {_IS_DUE} FOR UPDATE SKIP LOCKED)
    RETURNING job_id, kind, fence""")


def lease(tx: Connection, chosen: Sequence[UUID], *, now: datetime) -> list[Ticket]:
    """Take the steps of these jobs, in this order, but for those that somebody has gone on with meanwhile."""
    if not chosen:
        return []
    rows = {r.job_id: r for r in tx.execute(_LEASE, {"ids": list(chosen), "now": now, "until": now + QUEUED_LEASE})}
    return _tickets([rows[job_id] for job_id in chosen if job_id in rows], now)


def in_flight(tx: Connection, account_id: UUID) -> dict[Priority, int]:
    """Count the live jobs of the account by their class."""
    counts = tx.execute(
        text("SELECT priority, count(*) FROM step WHERE account_id = :id GROUP BY priority"), {"id": account_id}
    )
    return {Priority(priority): count for priority, count in counts}


_HAS_UNANSWERED = text("""
    SELECT EXISTS (SELECT FROM step s JOIN generation g ON g.id = s.generation_id
                   WHERE s.account_id = :id AND s.kind = 'submit' AND g.sends > g.answers)""")


def has_unanswered(tx: Connection, account_id: UUID) -> bool:
    """Say whether there are creates that are asked for again because their answers were lost."""
    return bool(tx.execute(_HAS_UNANSWERED, {"id": account_id}).scalar_one())


_NEXT_DUE = text("""
    SELECT min(greatest(due_at, lease_until)) FROM step
    WHERE account_id = :id AND kind = ANY(:kinds)""")


def next_due(tx: Connection, account_id: UUID, *, kinds: Collection[StepKind]) -> datetime | None:
    """Return the instant at which the next step becomes due or its lease ends; None when there is no step."""
    found: datetime | None = tx.execute(_NEXT_DUE, {"id": account_id, "kinds": list(kinds)}).scalar()
    return found


def _tickets(rows: Sequence[Any], now: datetime) -> list[Ticket]:
    return [Ticket(job_id=r.job_id, kind=StepKind(r.kind), fence=r.fence, not_before=now) for r in rows]
