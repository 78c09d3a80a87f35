"""What may be done to a batch: pause, resume, reprioritise, cancel, retry; each within the caller's transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never
from uuid import UUID

import structlog
from sqlalchemy import Connection

from worker.batches import deadlines as batches_deadlines
from worker.batches.queries import failed_jobs
from worker.core.db import changes, session
from worker.core.db.changes import Author
from worker.core.rules.batch_request import DeadlinePassed, Priority
from worker.core.rules.errors import DarkroomError
from worker.core.rules.states import ACTS_ON, ActionRefused, BatchAction, BatchState, JobEvent
from worker.engine.queries import batches, deadlines, failures, jobs
from worker.engine.queries.batches import Turn
from worker.ledger import second_person

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class RetryEffect:
    """The effect of a retry: how many jobs are pending again, and the credits that they will hold."""

    jobs: int
    credits: int
    is_paused: bool = False
    """Whether the batch is paused, so that the retried jobs start when it is resumed."""
    left_out: int = 0
    """Failed jobs that stay as they are: their catalog no longer waits for their images."""
    erased: int = 0
    """Failed jobs that stay as they are: their prompt, or a reference, was erased."""
    recalled: int = 0
    """Further jobs whose image is paid for and asked for once more, which costs nothing."""


@dataclass(frozen=True, kw_only=True)
class CancelEffect:
    """What a cancellation did; ``draining`` jobs are at the provider, will be paid for, and are downloaded."""

    cancelled: int
    released: int
    """Credits of holds that were taken back."""
    draining: int


class ChangedMeanwhile(DarkroomError):
    """The batch is no longer in the state in which it was looked at; nothing was changed."""

    error_code = "batch_changed"

    def __init__(self, batch_id: UUID, state: BatchState) -> None:
        """Keep which batch, and where it stands now."""
        super().__init__(batch_id, state)
        self.batch_id = batch_id
        self.state = state

    def __str__(self) -> str:
        """Return the message."""
        return f"batch {self.batch_id} is {self.state} meanwhile"


@dataclass(frozen=True, kw_only=True)
class Order:
    """An action with all that it needs beside the batches."""

    action: BatchAction
    author: Author
    priority: Priority | None = None
    weight: int | None = None
    code: str | None = None
    """Retry only jobs that failed with it."""


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What an action did beside the change of state."""

    cancelled: CancelEffect | None = None
    turn: Turn | None = None
    retried: RetryEffect | None = None


def perform(
    tx: Connection, batch_id: UUID, order: Order, *, seen: BatchState | None = None, shown_credits: int = 0
) -> Effect:
    """Perform the action on one batch; raises as the action does. A retry costs at most what was shown."""
    by = order.author
    match order.action:
        case BatchAction.PAUSE:
            pause(tx, batch_id, by, seen=seen)
        case BatchAction.RESUME:
            resume(tx, batch_id, by, seen=seen)
        case BatchAction.REPRIORITISE:
            return Effect(turn=reprioritise(tx, batch_id, by, priority=order.priority, weight=order.weight, seen=seen))
        case BatchAction.CANCEL:
            return Effect(cancelled=cancel(tx, batch_id, now=by.now, by=by, seen=seen))
        case BatchAction.RETRY:
            return Effect(retried=retry(tx, batch_id, by, code=order.code, seen=seen, shown_credits=shown_credits))
    return Effect()


def tell(batch_id: UUID, action: BatchAction, by: Author | None, effect: Effect | None = None) -> None:
    """Log the action on a batch after its commit, with the numbers of its jobs."""
    named = {"batch": str(batch_id), "by": by and by.actor}
    done = effect or Effect()
    match action:
        case BatchAction.PAUSE:
            log.info("batch.paused", **named)
        case BatchAction.RESUME:
            log.info("batch.resumed", **named)
        case BatchAction.REPRIORITISE:
            turn = done.turn
            log.info("batch.reprioritised", **named, priority=turn and turn.priority, weight=turn and turn.weight)
        case BatchAction.CANCEL:
            stopped = done.cancelled
            cancelled, draining = stopped and stopped.cancelled, stopped and stopped.draining
            log.info("batch.cancelled", **named, jobs_cancelled=cancelled, jobs_draining=draining)
        case BatchAction.RETRY:
            again = done.retried
            log.info("batch.retried", **named, jobs=again and again.jobs, images_recalled=again and again.recalled)
        case _:
            assert_never(action)


def pause(tx: Connection, batch_id: UUID, by: Author, *, seen: BatchState | None = None) -> None:
    """Admit nothing more of the batch until it is resumed; what is begun goes on.

    ``seen`` is the state that the person who decided saw. Raises ChangedMeanwhile when it is another one now, and
    ActionRefused when the action means nothing in it.
    """
    before = _locked(tx, batch_id, BatchAction.PAUSE, seen)
    _move(tx, batch_id, before, BatchState.PAUSED, by)


def resume(tx: Connection, batch_id: UUID, by: Author, *, seen: BatchState | None = None) -> None:
    """Resume a paused batch; raises as ``pause`` does.

    Of one that waits for a second person this is the agreement; raises SecondPersonNeeded for who submitted it.
    """
    before = _locked(tx, batch_id, BatchAction.RESUME, seen)
    second_person.agree_to_batch(tx, by, batch=subject(batch_id))
    _move(tx, batch_id, before, BatchState.OPEN, by)


def reprioritise(
    tx: Connection,
    batch_id: UUID,
    by: Author,
    *,
    priority: Priority | None,
    weight: int | None,
    seen: BatchState | None = None,
) -> Turn:
    """Set the class or the weight (1 or more) of the batch from the next round on.

    None leaves what there is. Returns both as they are now; raises as ``pause`` does.
    """
    _locked(tx, batch_id, BatchAction.REPRIORITISE, seen)
    before = batches.turn(tx, batch_id)
    after = Turn(priority=priority or before.priority, weight=weight or before.weight)
    batches.set_turn(tx, batch_id, after)
    for field in ("priority", "weight"):
        changes.record(tx, by, subject(batch_id), field, before=getattr(before, field), after=getattr(after, field))
    return after


def cancel(
    tx: Connection, batch_id: UUID, *, now: datetime, by: Author | None = None, seen: BatchState | None = None
) -> CancelEffect:
    """Cancel a batch: unsent jobs are cancelled and their holds released; images of sent ones are downloaded.

    A batch that is cancelled already is looked through once more. Raises ChangedMeanwhile as ``pause`` does, and
    ActionRefused for a batch that was never taken. A large batch needs a bulk transaction.
    """
    before = batches.lock_state(tx, batch_id)
    if seen not in {None, before}:
        raise ChangedMeanwhile(batch_id, before)
    if before is BatchState.REFUSED:
        raise ActionRefused(batch_id, BatchAction.CANCEL, before)
    _move(tx, batch_id, before, BatchState.CANCELLED, by)
    pending = jobs.cancel_pending(tx, batch_id, now=now)
    held = jobs.lock_unsubmitted(tx, batch_id)
    batches_deadlines.end_unsubmitted(tx, batch_id, held, JobEvent.CANCEL, now=now)
    draining = jobs.count_active(tx, batch_id)
    return CancelEffect(cancelled=pending + len(held), released=sum(job.held for job in held), draining=draining)


def retry(
    tx: Connection, batch_id: UUID, by: Author, *, code: str | None, seen: BatchState | None, shown_credits: int
) -> RetryEffect:
    """Retry the failed jobs; raises as ``pause`` does, and PriceChanged when the price exceeds the one shown."""
    failed_jobs.lock_catalog_of(tx, batch_id)
    before = _locked(tx, batch_id, BatchAction.RETRY, seen)
    deadline_at = deadlines.read(tx, batch_id)
    if deadline_at is not None and deadline_at <= by.now:
        raise DeadlinePassed(batch_id, deadline_at)
    expect_price(tx, batch_id, code, shown=shown_credits)
    return retry_jobs(tx, batch_id, code, by, is_paused=before is BatchState.PAUSED)


def subject(batch_id: UUID) -> str:
    """Return the batch as the log of changes names it."""
    return f"batch:{batch_id}"


def _locked(tx: Connection, batch_id: UUID, action: BatchAction, seen: BatchState | None) -> BatchState:
    state = batches.lock_state(tx, batch_id)
    if seen not in {None, state}:
        raise ChangedMeanwhile(batch_id, state)
    if state not in ACTS_ON[action]:
        raise ActionRefused(batch_id, action, state)
    return state


def _move(tx: Connection, batch_id: UUID, before: BatchState, after: BatchState, by: Author | None) -> None:
    batches.set_state(tx, batch_id, after)
    if by is not None:
        changes.record(tx, by, subject(batch_id), "state", before=before, after=after)
    session.notify(tx)


class PriceChanged(DarkroomError):
    """More jobs have failed since the price was shown; nothing was changed."""

    error_code = "retry_price_changed"

    def __init__(self, batch_id: UUID, price: int, shown: int) -> None:
        """Keep both prices."""
        super().__init__(batch_id, price, shown)
        self.batch_id, self.price, self.shown = batch_id, price, shown

    def __str__(self) -> str:
        """Return the message."""
        return f"to retry batch {self.batch_id} costs {self.price:,} credits meanwhile, {self.shown:,} were shown"


class JobsErased(DarkroomError):
    """Every selected failed job was erased, so that nothing is left to retry; nothing was changed."""

    error_code = "jobs_erased"

    def __init__(self, batch_id: UUID, jobs: int) -> None:
        """Keep how many."""
        super().__init__(batch_id, jobs)
        self.batch_id, self.jobs = batch_id, jobs

    def __str__(self) -> str:
        """Return the message, with the next step."""
        return (
            f"nothing to retry in batch {self.batch_id}: the prompts or references of its {self.jobs:,} failed jobs"
            " were erased; submit them as a new batch with `darkroom submit`"
        )


def expect_price(tx: Connection, batch_id: UUID, code: str | None, *, shown: int) -> None:
    """Raise PriceChanged when a retry would cost more than was shown."""
    price = failed_jobs.price(tx, batch_id, code=code)["credits"]
    if price > shown:
        raise PriceChanged(batch_id, price, shown)


def retry_jobs(tx: Connection, batch_id: UUID, code: str | None, by: Author, *, is_paused: bool) -> RetryEffect:
    """Return the failed jobs to pending; the batch, and its catalog, are locked."""
    prompts = failures.of_failed(tx, batch_id, code=code)
    unwanted = failed_jobs.count_unwanted(tx, batch_id, code=code)
    erased = failed_jobs.count_erased(tx, batch_id, code=code)
    recalled = failed_jobs.recall(tx, batch_id, code=code, now=by.now)
    count, price = failed_jobs.put_back(tx, batch_id, code=code)
    failed_jobs.put_back_of_catalog(tx, batch_id)
    failures.forget_all(tx, prompts)
    if count + recalled:
        what = f"{count} jobs for {price} credits, {recalled} paid images"
        changes.record(tx, by, f"batch:{batch_id}", "retried", before=code, after=what)
    session.notify(tx)
    return RetryEffect(
        jobs=count, credits=price, is_paused=is_paused, left_out=unwanted, erased=erased, recalled=recalled
    )
