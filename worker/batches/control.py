"""Control one batch: pause, resume, reprioritise, cancel, retry, and cap its credits or those of an owner."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from worker.batches import actions
from worker.batches.actions import CancelEffect, Effect, RetryEffect, subject
from worker.batches.queries import failed_jobs
from worker.core.db import changes, session
from worker.core.db.changes import Author
from worker.core.db.session import Database
from worker.core.rules import events
from worker.core.rules.batch_request import DeadlinePassed, Priority
from worker.core.rules.errors import DarkroomError
from worker.core.rules.states import BatchAction, BatchState
from worker.engine.queries import batches, deadlines
from worker.engine.queries.batches import BatchRow, Turn
from worker.ledger import second_person
from worker.ledger.queries import budgets
from worker.ledger.second_person import SecondPersonNeeded


@dataclass(frozen=True, kw_only=True)
class NewDeadline:
    """A deadline that is set beside something else; None lifts it."""

    at: datetime | None
    author: Author


def pause(database: Database, batch_id: UUID, by: Author, *, seen: BatchState | None = None) -> None:
    """Pause a batch in a transaction of its own; see `actions.pause`."""
    with database.transaction() as tx:
        actions.pause(tx, batch_id, by, seen=seen)
    actions.tell(batch_id, BatchAction.PAUSE, by)


def resume(database: Database, batch_id: UUID, by: Author, *, seen: BatchState | None = None) -> None:
    """Resume a batch in a transaction of its own; see `actions.resume`."""
    with database.transaction() as tx:
        actions.resume(tx, batch_id, by, seen=seen)
    actions.tell(batch_id, BatchAction.RESUME, by)


def reprioritise(
    database: Database,
    batch_id: UUID,
    by: Author,
    *,
    priority: Priority | None,
    weight: int | None,
    seen: BatchState | None = None,
) -> Turn:
    """Set the class or weight of a batch in a transaction of its own; see `actions.reprioritise`."""
    with database.transaction() as tx:
        turn = actions.reprioritise(tx, batch_id, by, priority=priority, weight=weight, seen=seen)
    actions.tell(batch_id, BatchAction.REPRIORITISE, by, Effect(turn=turn))
    return turn


def cancel(
    database: Database,
    batch_id: UUID,
    *,
    now: datetime,
    by: Author | None = None,
    seen: BatchState | None = None,
) -> CancelEffect:
    """Cancel a batch in a transaction of its own; see `actions.cancel`."""
    with database.bulk_transaction() as tx:
        done = actions.cancel(tx, batch_id, now=now, by=by, seen=seen)
    actions.tell(batch_id, BatchAction.CANCEL, by, Effect(cancelled=done))
    return done


def retry_failed(
    database: Database,
    batch_id: UUID,
    by: Author,
    *,
    approve_above: int | None,
    code: str | None = None,
    deadline: NewDeadline | None = None,
    agree: Callable[[RetryEffect], bool] = lambda _: True,
) -> RetryEffect | None:
    """Retry the failed jobs if ``agree`` accepts number and price; None when it does not.

    A job whose generation succeeded is asked for its paid image first. Only when the provider has said that it has the
    image no more is the job put back in line like the others.

    Their prompts get a fresh start: failures that are remembered of them are forgotten. An image that its catalog has
    given up is left out; one that it still wants is under way again, so that no plan asks for it beside that.
    Raises DeadlinePassed when the batch's deadline has passed and no new one is given, and SecondPersonNeeded when it
    costs more than ``approve_above``. Raises JobsErased when all of them were erased.
    """
    with database.transaction() as tx:
        _expect_time(tx, batch_id, deadline, by.now)
        effect = failed_jobs.price(tx, batch_id, code=code)
        unwanted = failed_jobs.count_unwanted(tx, batch_id, code=code)
        erased = failed_jobs.count_erased(tx, batch_id, code=code)
    if erased and not effect["jobs"] + effect["recalled"]:
        raise actions.JobsErased(batch_id, erased)
    if not agree(RetryEffect(**effect, is_paused=False, left_out=unwanted)):
        return None
    with database.bulk_transaction() as tx:
        failed_jobs.lock_catalog_of(tx, batch_id)
        is_paused = batches.lock_state(tx, batch_id) is BatchState.PAUSED
        _expect_time(tx, batch_id, deadline, by.now)
        waits = _missing_for_retry(tx, batch_id, by, code, above=approve_above)
        if waits is None:
            if deadline is not None:
                _set_deadline(tx, batch_id, deadline)
            done = actions.retry_jobs(tx, batch_id, code, by, is_paused=is_paused)
    if waits is not None:
        raise waits
    actions.tell(batch_id, BatchAction.RETRY, by, Effect(retried=done))
    return done


def _missing_for_retry(
    tx: Connection, batch_id: UUID, by: Author, code: str | None, *, above: int | None
) -> SecondPersonNeeded | None:
    # The figure is a part of the order: an approval covers no more than was ordered.
    credits_ = failed_jobs.price(tx, batch_id, code=code)["credits"]
    request = " ".join(filter(None, ("retry", code, f"for {credits_} credits")))
    return second_person.missing(tx, by, subject=subject(batch_id), request=request, credits_=credits_, above=above)


def _expect_time(tx: Connection, batch_id: UUID, deadline: NewDeadline | None, now: datetime) -> None:
    deadline_at = deadlines.read(tx, batch_id)
    if deadline is None and deadline_at is not None and deadline_at <= now:
        raise DeadlinePassed(batch_id, deadline_at)


def _set_deadline(tx: Connection, batch_id: UUID, deadline: NewDeadline) -> None:
    before = deadlines.set_at(tx, batch_id, deadline.at)
    changes.record(tx, deadline.author, subject(batch_id), "deadline", before=before, after=deadline.at)


class CapTooLow(DarkroomError):
    """The batch has committed more than the cap that was asked for; nothing was changed."""

    error_code = "cap_below_committed"

    def __init__(self, wanted: int, committed: int) -> None:
        """Keep both figures."""
        super().__init__(wanted, committed)
        self.wanted = wanted
        self.committed = committed

    def __str__(self) -> str:
        """Return the message, with the cap that stops the batch where it is."""
        return (
            f"the batch has committed {self.committed:,} credits already, so that it cannot be capped at"
            f" {self.wanted:,}: a cap of {self.committed} admits nothing more"
        )


@dataclass(frozen=True, kw_only=True)
class CapChange:
    """A cap before and after; None: there was, or is, no cap."""

    before: int | None
    after: int | None
    committed: int
    """What the batch, or the owner in this month, has committed."""


def _missing_for_cap(
    tx: Connection, author: Author, subject: str, *, before: int | None, after: int | None, above: int | None
) -> SecondPersonNeeded | None:
    if before is None or (after is not None and after <= before):
        return None
    request = "no cap" if after is None else f"cap {after}"
    return second_person.missing(tx, author, subject=subject, request=request, credits_=after, above=above)


def cap_batch(
    database: Database, batch_id: UUID, credits_: int | None, author: Author, *, approve_above: int | None
) -> CapChange:
    """Set, or with None lift, a batch's cap and wake the dispatchers.

    Raises CapTooLow, and SecondPersonNeeded when the cap is raised above ``approve_above``.
    """
    with database.transaction() as tx:
        batches.lock(tx, batch_id)
        committed = budgets.committed_by_batch(tx, batch_id)
        if credits_ is not None and credits_ < committed:
            raise CapTooLow(credits_, committed)
        batch = batches.by_id(tx, batch_id)
        waits = _missing_for_cap(
            tx,
            author,
            subject(batch_id),
            before=None if batch is None else batch.credit_cap,
            after=credits_,
            above=approve_above,
        )
        if waits is None:
            return _cap_batch(tx, batch_id, credits_, author, batch, committed=committed)
    raise waits


def _cap_batch(
    tx: Connection, batch_id: UUID, credits_: int | None, author: Author, batch: BatchRow | None, *, committed: int
) -> CapChange:
    changes.sign(tx, author)
    before = budgets.set_batch_cap(tx, batch_id, credits_)
    if credits_ is not None and credits_ != before and batch is not None:
        named = events.batch_named(batch.id, batch.name, batch.owner)
        budgets.tell_of_batch(tx, named, before=budgets.BEFORE_ANY, after=committed, cap=credits_)
    session.notify(tx)
    return CapChange(before=before, after=credits_, committed=committed)


def cap_owner(
    database: Database, owner: str, credits_: int | None, author: Author, *, approve_above: int | None
) -> CapChange:
    """Set or, with None, remove an owner's monthly cap, and wake the dispatchers.

    It may be below what this month has committed: then nothing more is admitted before the next month. Raises
    SecondPersonNeeded when the cap is raised above ``approve_above``.
    """
    with database.transaction() as tx:
        waits = _missing_for_cap(
            tx,
            author,
            f"owner:{owner}",
            before=budgets.owner_cap(tx, owner),
            after=credits_,
            above=approve_above,
        )
        if waits is None:
            return _cap_owner(tx, owner, credits_, author)
    raise waits


def _cap_owner(tx: Connection, owner: str, credits_: int | None, author: Author) -> CapChange:
    changes.sign(tx, author)
    before = budgets.set_owner_cap(tx, owner, credits_)
    committed = budgets.committed_by_owner(tx, owner, now=author.now)
    if credits_ is not None and credits_ != before:
        month = budgets.month_of(author.now)
        budgets.tell_of_owner(tx, owner, month, before=budgets.BEFORE_ANY, after=committed, cap=credits_)
    session.notify(tx)
    return CapChange(before=before, after=credits_, committed=committed)
