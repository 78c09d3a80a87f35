"""How live jobs end for which nothing was sent: their holds go back to the cap in the same transaction."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Connection

from worker.db import budgets, jobs, ledger
from worker.db.jobs import Unsent
from worker.db.ledger import Posting
from worker.domain import ledger as moves
from worker.domain.job import JobEvent


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
    ledger.post(tx, postings, now=now)


def _give_back(tx: Connection, batch_id: UUID, unsent: Sequence[Unsent]) -> None:
    """Take the holds off what the batch, and its owner in the month of each hold, have committed."""
    by_month: dict[date, list[Unsent]] = {}
    for each in unsent:
        by_month.setdefault(budgets.month_of(each.held_at), []).append(each)
    for month in sorted(by_month):
        voids = [movement for each in by_month[month] for movement in moves.void(each.held)]
        ledger.commit_to(tx, voids, batch_id=batch_id, held_at=by_month[month][0].held_at)
