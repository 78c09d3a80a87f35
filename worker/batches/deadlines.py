"""Deadlines of batches: what they end when they pass, and how unsubmitted jobs end with their holds released."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import structlog
from sqlalchemy import Connection

from worker.core.db import changes, session
from worker.core.db.changes import Author
from worker.core.db.session import Database
from worker.core.rules.batch_request import DEADLINE_PASSED
from worker.core.rules.errors import DarkroomError
from worker.core.rules.states import BatchState, JobEvent
from worker.engine.queries import batches, deadlines, jobs
from worker.engine.queries.jobs import Unsubmitted
from worker.ledger.queries import budgets, entries
from worker.ledger.queries.entries import Posting
from worker.ledger.rules import entries as moves

log = structlog.get_logger(__name__)
CHUNK = 5_000
"""Jobs that one transaction ends at the most, so that its locks are short however large the batch is."""
MOST_CHUNKS = 20
"""Transactions of one time of maintenance; what is left has its turn at once in the next."""
_NEVER_SENT = "its deadline passed before it was sent"
_NOT_ENDED = "its deadline passed before the provider said that it has ended"


class NeverTaken(DarkroomError):
    """The batch was refused when it was submitted, so that it has no deadline; nothing was changed."""

    error_code = "batch_was_refused"

    def __init__(self, batch_id: UUID) -> None:
        """Keep which batch."""
        super().__init__(batch_id)
        self.batch_id = batch_id

    def __str__(self) -> str:
        """Return the message, with the next step."""
        return f"batch {self.batch_id} was refused and has no jobs: `darkroom status {self.batch_id}` says why"


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What one time of maintenance has ended."""

    failed: int = 0
    """Jobs for which nothing was sent."""
    doubted: int = 0
    """Jobs that may have been paid for."""
    is_all: bool = True
    """Whether nothing is left that could be ended now."""


def change(database: Database, batch_id: UUID, deadline_at: datetime | None, by: Author) -> datetime | None:
    """Set or, with None, remove a batch's deadline; return the previous one. Jobs that it has ended stay ended.

    Raises NeverTaken.
    """
    with database.transaction() as tx:
        if batches.lock_state(tx, batch_id) is BatchState.REFUSED:
            raise NeverTaken(batch_id)
        before = deadlines.set_at(tx, batch_id, deadline_at)
        changes.record(tx, by, f"batch:{batch_id}", "deadline", before=before, after=deadline_at)
    return before


def end_passed(database: Database, account_id: UUID, *, now: datetime) -> Ended:
    """End the jobs past their deadline in short transactions, the oldest batch first; idempotent."""
    with database.transaction() as tx:
        waiting = deadlines.passed(tx, account_id, now=now)
    failed = doubted = 0
    for _ in range(MOST_CHUNKS):
        if not waiting:
            break
        ended = _end_some(database, waiting[0], now)
        failed, doubted = failed + ended.failed, doubted + ended.doubted
        if ended.is_all:
            waiting.pop(0)
    return Ended(failed=failed, doubted=doubted, is_all=not waiting)


def _end_some(database: Database, batch_id: UUID, now: datetime) -> Ended:
    """End up to a chunk of one batch; the deadline is looked at again under the lock, for it may have been moved."""
    with database.transaction() as tx:
        batches.lock(tx, batch_id)
        deadline_at = deadlines.read(tx, batch_id)
        if deadline_at is None or deadline_at > now:
            return Ended()
        held = deadlines.lock_unsubmitted(tx, batch_id, limit=CHUNK)
        end_unsubmitted(tx, batch_id, held, JobEvent.FAIL, now=now, code=DEADLINE_PASSED, message=_NEVER_SENT)
        sent = deadlines.lock_sent(tx, batch_id, limit=CHUNK, now=now)
        deadlines.doubt(tx, sent, now=now, code=DEADLINE_PASSED, message=_NOT_ENDED)
        pending = deadlines.fail_pending(tx, batch_id, limit=CHUNK, now=now, code=DEADLINE_PASSED, message=_NEVER_SENT)
        session.notify(tx)
    ended = Ended(failed=len(held) + pending, doubted=len(sent), is_all=max(len(held), len(sent), pending) < CHUNK)
    if ended.failed or ended.doubted:
        log.warning("batch.deadline_passed", batch=str(batch_id), failed=ended.failed, in_doubt=ended.doubted)
    return ended


def end_unsubmitted(
    tx: Connection,
    batch_id: UUID,
    unsent: Sequence[Unsubmitted],
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


def _give_back(tx: Connection, batch_id: UUID, unsent: Sequence[Unsubmitted]) -> None:
    """Take the holds off what the batch, and its owner in the month of each hold, have committed."""
    by_month: dict[date, list[Unsubmitted]] = {}
    for each in unsent:
        by_month.setdefault(budgets.month_of(each.held_at), []).append(each)
    for month in sorted(by_month):
        voids = [movement for each in by_month[month] for movement in moves.void(each.held)]
        entries.commit_to(tx, voids, batch_id=batch_id, held_at=by_month[month][0].held_at)
