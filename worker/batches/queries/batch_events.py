"""Batches that are done, or held up: what no single change of a job says, so that it is looked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.db import outbox
from worker.core.rules.events import EventType
from worker.engine.queries import steps
from worker.ledger.queries.budgets import NEXT

NEAR = timedelta(hours=1)
"""A deadline is near when no more than this, and no more than a tenth of the batch's time, is left."""
MOST = 200
"""Batches that one look notes at the most."""

# Neither part looks at the whole batch: the completion feed's ``has_live`` in words for many batches.
_IS_DONE = f"""done_at IS NULL AND state <> 'refused' AND NOT EXISTS (
        SELECT FROM unnest(b.models) m(model) CROSS JOIN LATERAL (
            SELECT line FROM job WHERE batch_id = b.id AND model = m.model AND state = 'pending'
            ORDER BY line LIMIT 1) first)
    AND NOT EXISTS (SELECT FROM {steps.WITH_GENERATION} WHERE g.batch_id = b.id)"""
_LOCK_DONE = text(f"""
    SELECT id FROM batch b WHERE {_IS_DONE} ORDER BY id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED""")
# A statement of its own, so that its snapshot is younger than the locks: jobs that were just put back are seen.
_NOTE_DONE = text(f"UPDATE batch b SET done_at = :now WHERE id = ANY(:ids) AND {_IS_DONE} RETURNING id")


def note_done(tx: Connection, *, now: datetime) -> list[UUID]:
    """Note which batches have no job left that has not ended, and give those that were not noted before."""
    ids = list(tx.execute(_LOCK_DONE, {"limit": MOST}).scalars())
    return sorted(tx.execute(_NOTE_DONE, {"ids": ids, "now": now}).scalars()) if ids else []


@dataclass(frozen=True, kw_only=True)
class HeldUp:
    """A batch that waits for a person."""

    id: UUID
    name: str
    owner: str
    reason: str
    committed: int
    cap: int | None
    next_job: int | None
    """Credits of its next job; None: none is pending."""
    deadline_at: datetime | None
    once_key: str


_NEXT_JOB = NEXT.format(batch="b", account="b.account_id")
_CANDIDATES = f"""
    SELECT b.id, b.name, b.owner, 'cap_reached' AS reason, b.committed, b.credit_cap AS cap,
        {_NEXT_JOB} AS next_job, b.deadline_at, 'cap:' || b.id || ':' || b.credit_cap AS once_key
    FROM batch b WHERE b.state = 'open' AND b.has_pending AND b.credit_cap IS NOT NULL
    UNION ALL
    SELECT b.id, b.name, b.owner, 'deadline_near', b.committed, b.credit_cap, {_NEXT_JOB}, b.deadline_at,
        'deadline:' || b.id || ':' || extract(epoch FROM b.deadline_at)
    FROM batch b WHERE b.done_at IS NULL AND b.state IN ('open', 'paused') AND b.deadline_at > :now
        AND b.deadline_at <= :now + least(CAST(:near AS interval), (b.deadline_at - b.created_at) / 10)"""
_HELD_UP = text(f"""
    SELECT * FROM ({_CANDIDATES}) c
    WHERE {outbox.IS_WANTED} AND (reason <> 'cap_reached' OR committed + next_job > cap)
      AND NOT EXISTS (SELECT FROM event WHERE event.once_key = CAST(:type AS text) || ':' || c.once_key)
    ORDER BY id LIMIT :limit""")


def held_up(tx: Connection, *, now: datetime) -> Sequence[HeldUp]:
    """Return the blocked batches without an event yet; none when no hook subscribes to those events."""
    values = {"now": now, "near": NEAR, "limit": MOST, "type": EventType.BATCH_HELD_UP, "catalog_id": None}
    return [HeldUp(**row) for row in tx.execute(_HELD_UP, values).mappings()]
