"""What an owner may do with one batch that is under way: hold it back, let it go on, move it, end it, ask again."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from worker.batches.queries import catalog_retries, failed_jobs
from worker.core.db import changes, session
from worker.core.db.changes import Author
from worker.core.db.session import Database
from worker.core.rules.batch_request import Priority
from worker.core.rules.batch_state import ACTS_ON, ActionRefused, BatchAction, BatchState
from worker.core.rules.deadline import DeadlinePassed
from worker.core.rules.job import JobEvent
from worker.engine import release_unsubmitted
from worker.engine.queries import batches, deadlines, jobs, prompt_failures
from worker.engine.queries.batches import Turn


@dataclass(frozen=True, kw_only=True)
class CancelEffect:
    """What a cancellation did; ``draining`` jobs are at the provider, will be paid for, and are downloaded."""

    cancelled: int
    released: int
    """Credits of holds that were taken back."""
    draining: int


@dataclass(frozen=True, kw_only=True)
class RetryEffect:
    """What asking again did: so many jobs wait again, and hold so many credits once they are admitted."""

    jobs: int
    credits: int
    is_paused: bool = False
    """Whether they wait for their batch to be resumed."""
    left_out: int = 0
    """Failed jobs that stay as they are: their catalog no longer waits for their images."""
    recalled: int = 0
    """Further jobs whose image is paid for and asked for once more, which costs nothing."""


@dataclass(frozen=True, kw_only=True)
class NewDeadline:
    """A deadline that is set beside something else; None lifts it."""

    at: datetime | None
    author: Author


class ChangedMeanwhile(Exception):
    """The batch is no longer in the state in which it was looked at; nothing was changed."""

    def __init__(self, batch_id: UUID, state: BatchState) -> None:
        """Keep which batch, and where it stands now."""
        super().__init__(batch_id, state)
        self.batch_id = batch_id
        self.state = state

    def __str__(self) -> str:
        """Return the message."""
        return f"batch {self.batch_id} is {self.state} meanwhile"


def pause(database: Database, batch_id: UUID, by: Author, *, seen: BatchState | None = None) -> None:
    """Admit nothing more of the batch until it is resumed; what is begun goes on.

    ``seen`` is the state that whoever decided saw. Raises ChangedMeanwhile when it is another one now, and
    ActionRefused when the action means nothing in it.
    """
    with database.transaction() as tx:
        before = _locked(tx, batch_id, BatchAction.PAUSE, seen)
        _move(tx, batch_id, before, BatchState.PAUSED, by)


def resume(database: Database, batch_id: UUID, by: Author, *, seen: BatchState | None = None) -> None:
    """Let a paused batch have its turn again; raises as ``pause`` does."""
    with database.transaction() as tx:
        before = _locked(tx, batch_id, BatchAction.RESUME, seen)
        _move(tx, batch_id, before, BatchState.OPEN, by)


def reprioritise(
    database: Database,
    batch_id: UUID,
    by: Author,
    *,
    priority: Priority | None,
    weight: int | None,
    seen: BatchState | None = None,
) -> Turn:
    """Have the batch's jobs admitted in another class, or with another weight (1 or more), from the next round on.

    None leaves what there is. Gives both as they are now; raises as ``pause`` does.
    """
    with database.transaction() as tx:
        _locked(tx, batch_id, BatchAction.REPRIORITISE, seen)
        before = batches.turn(tx, batch_id)
        after = Turn(priority=priority or before.priority, weight=weight or before.weight)
        batches.set_turn(tx, batch_id, after)
        for field in ("priority", "weight"):
            changes.record(
                tx, by, _subject(batch_id), field, before=getattr(before, field), after=getattr(after, field)
            )
    return after


def cancel(
    database: Database,
    batch_id: UUID,
    *,
    now: datetime,
    by: Author | None = None,
    seen: BatchState | None = None,
) -> CancelEffect:
    """Stop a batch: what was not sent is cancelled and its hold taken back; what was sent is downloaded.

    A batch that is cancelled already is looked through once more. Raises ChangedMeanwhile as ``pause`` does, and
    ActionRefused for a batch that was never taken.
    """
    with database.bulk_transaction() as tx:
        before = batches.lock_state(tx, batch_id)
        if seen not in {None, before}:
            raise ChangedMeanwhile(batch_id, before)
        if before is BatchState.REFUSED:
            raise ActionRefused(batch_id, BatchAction.CANCEL, before)
        _move(tx, batch_id, before, BatchState.CANCELLED, by)
        pending = jobs.cancel_pending(tx, batch_id, now=now)
        held = jobs.lock_unsent(tx, batch_id)
        release_unsubmitted.end(tx, batch_id, held, JobEvent.CANCEL, now=now)
        draining = jobs.count_active(tx, batch_id)
    return CancelEffect(cancelled=pending + len(held), released=sum(job.held for job in held), draining=draining)


def retry_failed(
    database: Database,
    batch_id: UUID,
    *,
    now: datetime,
    code: str | None = None,
    deadline: NewDeadline | None = None,
    agree: Callable[[RetryEffect], bool] = lambda _: True,
) -> RetryEffect | None:
    """Ask for the failed jobs again, if ``agree`` says yes to number and price; None when it says no.

    A job whose generation succeeded is asked for its paid image first. Only when the provider has said that it has the
    image no more is the job put back in line like the others.

    Their prompts get a fresh start: failures that are remembered of them are forgotten. An image that its catalog has
    given up is left out; one that it still wants is under way again, so that no plan asks for it beside that.
    Raises DeadlinePassed when the batch's deadline has passed and no new one is given.
    """
    with database.transaction() as tx:
        _expect_time(tx, batch_id, deadline, now)
        effect = failed_jobs.price(tx, batch_id, code=code)
        unwanted = catalog_retries.count_unwanted(tx, batch_id, code=code)
    if not agree(RetryEffect(**effect, is_paused=False, left_out=unwanted)):
        return None
    with database.bulk_transaction() as tx:
        catalog_retries.lock(tx, batch_id)
        is_paused = batches.lock_state(tx, batch_id) is BatchState.PAUSED
        _expect_time(tx, batch_id, deadline, now)
        if deadline is not None:
            _set_deadline(tx, batch_id, deadline)
        return _ask_again(tx, batch_id, code, now, is_paused=is_paused)


def _ask_again(tx: Connection, batch_id: UUID, code: str | None, now: datetime, *, is_paused: bool) -> RetryEffect:
    prompts = prompt_failures.of_failed(tx, batch_id, code=code)
    unwanted = catalog_retries.count_unwanted(tx, batch_id, code=code)
    recalled = failed_jobs.recall(tx, batch_id, code=code, now=now)
    count, price = failed_jobs.put_back(tx, batch_id, code=code)
    catalog_retries.put_back(tx, batch_id)
    prompt_failures.forget_all(tx, prompts)
    session.notify(tx)
    return RetryEffect(jobs=count, credits=price, is_paused=is_paused, left_out=unwanted, recalled=recalled)


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
        changes.record(tx, by, _subject(batch_id), "state", before=before, after=after)
    session.notify(tx)


def _expect_time(tx: Connection, batch_id: UUID, deadline: NewDeadline | None, now: datetime) -> None:
    deadline_at = deadlines.read(tx, batch_id)
    if deadline is None and deadline_at is not None and deadline_at <= now:
        raise DeadlinePassed(batch_id, deadline_at)


def _set_deadline(tx: Connection, batch_id: UUID, deadline: NewDeadline) -> None:
    before = deadlines.set_at(tx, batch_id, deadline.at)
    changes.record(tx, deadline.author, _subject(batch_id), "deadline", before=before, after=deadline.at)


def _subject(batch_id: UUID) -> str:
    return f"batch:{batch_id}"
