"""How live jobs end for which nothing was sent: their holds go back to the cap in the same transaction."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Connection

from worker.core.rules.job import JobEvent
from worker.engine.queries import jobs
from worker.engine.queries.jobs import Unsent
from worker.ledger.queries import budgets, entries
from worker.ledger.queries.entries import Posting
from worker.ledger.rules import entries as moves


def end(
    tx: Connection,
    batch_id: UUID,
    unsent: Sequence[Unsent],
    event: JobEvent,
    *,
    now: datetime,
    code: str | None = None,
    message: str | None = None,
) -> None:
    """End the jobs of one batch, whose steps and generations are locked, with their generations void.

    The owner's months are locked in their order, after the batch.
    """
    if not unsent:
        return
    jobs.end_unsent(tx, unsent, event, now=now, code=code, message=message)
    _give_back(tx, batch_id, unsent)
    postings = [
        Posting(batch_id=batch_id, generation_id=each.generation_id, movements=moves.void(each.held)) for each in unsent
    ]
    entries.post(tx, postings, now=now)


def _give_back(tx: Connection, batch_id: UUID, unsent: Sequence[Unsent]) -> None:
    """Take the holds off what the batch, and its owner in the month of each hold, have committed."""
    by_month: dict[date, list[Unsent]] = {}
    for each in unsent:
        by_month.setdefault(budgets.month_of(each.held_at), []).append(each)
    for month in sorted(by_month):
        voids = [movement for each in by_month[month] for movement in moves.void(each.held)]
        entries.commit_to(tx, voids, batch_id=batch_id, held_at=by_month[month][0].held_at)
