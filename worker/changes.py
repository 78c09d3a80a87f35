"""Who changes a setting, why and when: kept with what it was before, and told to the dispatchers."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from worker.db import budgets, session


@dataclass(frozen=True, kw_only=True)
class Author:
    """A person, with the reason and the instant of what is changed."""

    actor: str
    reason: str | None
    now: datetime
    new_id: Callable[[], UUID]


def record(tx: Connection, by: Author, subject: str, field: str, *, before: object, after: object) -> None:
    """Keep the change, if it is one, and wake the dispatchers when it is committed."""
    if before == after:
        return
    budgets.record_change(
        tx,
        change_id=by.new_id(),
        subject=subject,
        field=field,
        before=before,
        after=after,
        actor=by.actor,
        reason=by.reason,
        now=by.now,
    )
    session.notify(tx)
