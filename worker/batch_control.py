"""What an owner may do with a batch that is under way: cancel it, or ask for its failed jobs once more."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from models import BatchState
from worker.db import batches, failed_jobs, jobs, ledger, session
from worker.db.ledger import Posting
from worker.db.session import Database
from worker.domain import ledger as moves


@dataclass(frozen=True, kw_only=True)
class CancelEffect:
    """What a cancellation did; ``draining`` jobs are at the provider, will be paid, and are brought home."""

    cancelled: int
    released: int
    """Credits of holds that were taken back."""
    draining: int


@dataclass(frozen=True, kw_only=True)
class RetryEffect:
    """What asking again did: so many jobs wait again, and hold so many credits once they are admitted."""

    jobs: int
    credits: int
    recalled: int = 0
    """Further jobs whose image is paid for and asked for once more, which costs nothing."""


def cancel(database: Database, batch_id: UUID, *, now: datetime) -> CancelEffect:
    """Stop a batch: what was not sent is cancelled and its hold taken back; what was sent is brought home."""
    with database.bulk_transaction() as tx:
        batches.lock(tx, batch_id)
        batches.set_state(tx, batch_id, BatchState.CANCELLED)
        pending = jobs.cancel_pending(tx, batch_id, now=now)
        unsent = jobs.lock_unsent(tx, batch_id)
        for job in unsent:
            jobs.cancel_unsent(tx, job, now=now)
            movements = moves.void(job.held)
            ledger.commit_to(tx, movements, batch_id=batch_id, held_at=job.held_at)
            posting = Posting(batch_id=batch_id, generation_id=job.generation_id, movements=movements)
            ledger.post(tx, [posting], now=now)
        draining = jobs.count_active(tx, batch_id)
        session.notify(tx)
    return CancelEffect(cancelled=pending + len(unsent), released=sum(job.held for job in unsent), draining=draining)


def retry_failed(
    database: Database,
    batch_id: UUID,
    *,
    now: datetime,
    code: str | None = None,
    agree: Callable[[RetryEffect], bool] = lambda _: True,
) -> RetryEffect | None:
    """Ask for the failed jobs again, if ``agree`` says yes to number and price; None when it says no.

    A job whose generation succeeded is asked for its paid image first. Only when the provider has said that it has the
    image no more is the job put back in line like the others.
    """
    with database.transaction() as tx:
        effect = RetryEffect(**failed_jobs.price(tx, batch_id, code=code))
    if not agree(effect):
        return None
    with database.bulk_transaction() as tx:
        batches.lock(tx, batch_id)
        recalled = failed_jobs.recall(tx, batch_id, code=code, now=now)
        count, price = failed_jobs.put_back(tx, batch_id, code=code)
        session.notify(tx)
    return RetryEffect(jobs=count, credits=price, recalled=recalled)
