"""Approval by two people: an expensive order is kept, and carried out when a second person gives the same one."""

from sqlalchemy import Connection

from worker.core.db import changes
from worker.core.db.changes import Author
from worker.core.rules.errors import DarkroomError
from worker.core.rules.identity import is_same_person
from worker.ledger.queries import approvals

SUBMIT = "submit"


class SecondPersonNeeded(DarkroomError):
    """The order is kept and waits for another person, who gives the same order; nothing else was changed."""

    error_code = "second_person_needed"

    def __init__(self, subject: str, request: str, requested_by: str, how: str) -> None:
        """Keep what waits, whose order it was, and how a second person agrees."""
        super().__init__(subject, request, requested_by, how)
        self.subject, self.request, self.requested_by, self.how = subject, request, requested_by, how

    def __str__(self) -> str:
        """Return the message, with the next step."""
        return (
            f"{self.subject}, {self.request}: ordered by {self.requested_by}, and more than DARKROOM_APPROVE_ABOVE:"
            f" it is done when another person {self.how}"
        )


def is_dear(credits_: int | None, above: int | None) -> bool:
    """Return whether so many credits need a second person; None credits are without bound, None above is never."""
    return above is not None and (credits_ is None or credits_ > above)


def missing(
    tx: Connection,
    by: Author,
    *,
    subject: str,
    request: str,
    credits_: int | None,
    above: int | None,
    how: str = "gives the same order",
) -> SecondPersonNeeded | None:
    """Return None when the order may be carried out: it is not expensive, or another person has given the same one.

    Else keep the order, and return what is raised as soon as the transaction, which changes nothing else, is committed.
    """
    if not is_dear(credits_, above):
        return None
    waiting = approvals.open_requests(tx, subject=subject, request=request, now=by.now)
    other = next((each for each in waiting if not is_same_person(each.requested_by, by.actor)), None)
    if other is not None:
        approvals.approve(tx, other.id, by=by.actor, now=by.now)
        changes.record(tx, by, subject, "approved", before=other.requested_by, after=request)
        return None
    if not waiting:
        _ask(tx, by, subject=subject, request=request, credits_=credits_)
    return SecondPersonNeeded(subject, request, by.actor, f"{how} within 7 days")


def ask_for_batch(tx: Connection, by: Author, *, batch: str, credits_: int) -> None:
    """Record that a batch waits for a second person, who resumes it; the caller has paused it."""
    _ask(tx, by, subject=batch, request=SUBMIT, credits_=credits_)


def agree_to_batch(tx: Connection, by: Author, *, batch: str) -> None:
    """Agree to a batch that waits, if it does; raises SecondPersonNeeded for the person who submitted it."""
    waiting = approvals.open_of(tx, batch)
    if waiting is None or waiting.request != SUBMIT:
        return
    if is_same_person(waiting.requested_by, by.actor):
        raise SecondPersonNeeded(batch, SUBMIT, waiting.requested_by, "resumes it")
    approvals.approve(tx, waiting.id, by=by.actor, now=by.now)
    changes.record(tx, by, batch, "approved", before=waiting.requested_by, after=SUBMIT)


def _ask(tx: Connection, by: Author, *, subject: str, request: str, credits_: int | None) -> None:
    approvals.add(
        tx, approval_id=by.new_id(), subject=subject, request=request, credits_=credits_, by=by.actor, now=by.now
    )
    changes.record(tx, by, subject, "approval asked for", before=None, after=request)
