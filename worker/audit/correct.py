"""What a person puts right about a generation that has ended: how much it has really cost, as often as it takes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from worker.audit.queries import in_doubt
from worker.audit.queries.in_doubt import Paid
from worker.audit.rules.dispute_decision import NotEnded, Signature, TooMuch
from worker.core.db import changes, session
from worker.core.db.changes import Author
from worker.core.db.session import Database
from worker.ledger import second_person
from worker.ledger.queries import entries
from worker.ledger.queries.entries import Posting
from worker.ledger.rules import entries as moves
from worker.ledger.rules.entries import Movement


@dataclass(frozen=True, kw_only=True)
class Correction:
    """The generation as it was before, what it has spent now, and the entries between."""

    before: Paid
    spent: int
    movements: Sequence[Movement]


def correct(
    database: Database,
    generation_id: UUID,
    credits_: int,
    signature: Signature,
    *,
    new_id: Callable[[], UUID],
    now: datetime,
    approve_above: int | None,
    may_exceed: bool = False,
) -> Correction:
    """Set the credits (0 or more) that the ended generation spent, and post the difference as a signed entry.

    Its state and its job stay as they are. Raises LookupError for an unknown id, NotEnded, and TooMuch for
    more than was ever held or reserved, unless it ``may_exceed`` that, and SecondPersonNeeded when more than
    ``approve_above`` is at stake.
    """
    with database.transaction() as tx:
        paid = in_doubt.lock_ended(tx, generation_id)
        if paid is None:
            raise LookupError(generation_id)
        if not paid.state.has_ended:
            raise NotEnded(generation_id, paid.state)
        if credits_ > max(paid.expected, paid.spent) and not may_exceed:
            raise TooMuch(credits_, paid.expected)
        waits = second_person.missing(
            tx,
            Author(actor=signature.actor, reason=signature.reason, now=now, new_id=new_id),
            subject=f"generation:{generation_id}",
            request=f"spent {credits_}",
            credits_=max(in_doubt.at_stake(tx, generation_id), credits_),
            above=approve_above,
        )
        if waits is None:
            return _correct(tx, paid, credits_, signature, new_id(), now)
    raise waits


def _correct(
    tx: Connection, paid: Paid, credits_: int, signature: Signature, change_id: UUID, now: datetime
) -> Correction:
    movements = moves.correct_spent(spent=paid.spent, charged=credits_)
    if movements:
        posting = Posting(
            batch_id=paid.batch_id,
            generation_id=paid.generation_id,
            movements=movements,
            actor=signature.actor,
            reason=signature.reason,
        )
        entries.commit_to(tx, movements, batch_id=paid.batch_id, held_at=paid.admitted_at)
        entries.post(tx, [posting], now=now)
        in_doubt.set_final(tx, paid.generation_id, credits_)
        changes.insert(
            tx,
            change_id=change_id,
            subject=f"generation:{paid.generation_id}",
            field="spent",
            before=paid.spent,
            after=credits_,
            actor=signature.actor,
            reason=signature.reason,
            now=now,
        )
        session.notify(tx)
    return Correction(before=paid, spent=credits_, movements=movements)
