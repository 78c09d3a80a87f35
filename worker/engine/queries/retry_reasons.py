"""What is tried again and again for a batch, with what words, and when next."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.rules.errors import STORE_UNAVAILABLE
from worker.core.rules.step import StepKind

SHOWN_FROM = 2
"""Tries that failed in a row: one alone is nothing unusual. What waits for the store counts no tries."""

_NAMES = {
    StepKind.UPLOAD: ("upload", "uploads"),
    StepKind.SUBMIT: ("create", "creates"),
    StepKind.POLL: ("poll", "polls"),
    StepKind.COLLECT: ("download", "downloads"),
}


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Steps of one kind that have failed at each of their last tries."""

    kind: StepKind
    count: int
    error: str
    """The words of the latest of them."""
    next_at: datetime

    def __str__(self) -> str:
        """Return it in one line."""
        one, many = _NAMES[self.kind]
        what = f"1 {one} is" if self.count == 1 else f"{self.count:,} {many} are"
        return f"{what} tried again: {self.error}; next try {self.next_at:%Y-%m-%d %H:%M:%S} UTC"


_MOST = text("""
    SELECT s.kind, count(*) AS jobs, (array_agg(s.error ORDER BY s.due_at DESC))[1] AS error, min(s.due_at) AS next_at
    FROM step s JOIN generation g ON g.id = s.generation_id
    WHERE g.batch_id = :id AND s.error IS NOT NULL AND (s.attempts >= :attempts OR starts_with(s.error, :store))
    GROUP BY s.kind ORDER BY count(*) DESC, s.kind LIMIT 1""")


def most(tx: Connection, batch_id: UUID) -> Trouble | None:
    """Return the kind of step that most of the batch's troubled jobs are at; None when there is no trouble."""
    row = tx.execute(_MOST, {"id": batch_id, "attempts": SHOWN_FROM, "store": STORE_UNAVAILABLE}).one_or_none()
    if row is None:
        return None
    return Trouble(kind=StepKind(row.kind), count=row.jobs, error=row.error, next_at=row.next_at)
