"""Steps whose code crashed, in the database: counted, put off, and shown."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.rules.states import StepKind
from worker.engine.rules import give_up


@dataclass(frozen=True, kw_only=True)
class Crashed:
    """A step whose code has crashed; its row is locked."""

    job_id: UUID
    batch_id: UUID
    generation_id: UUID
    kind: StepKind
    fence: int
    is_claimed: bool
    """Whether the process that crashed had claimed it: then its lease continues."""
    crashes: int
    """In a row, this one included."""
    is_perhaps_sent: bool
    held: int
    admitted_at: datetime
    since: datetime
    """When the provider accepted its generation; of a collect, when its image was paid for."""


# What has the ticket's fence was not claimed; with the next one it was, by the process that had the ticket.
_LOCK = text("""
    SELECT s.job_id, g.batch_id, g.id AS generation_id, s.kind, s.fence, s.fence > :fence AS is_claimed,
        s.crashes + 1 AS crashes, g.sends > g.answers AS is_perhaps_sent, g.held, g.admitted_at,
        CASE s.kind WHEN 'poll' THEN g.accepted_at ELSE s.since END AS since
    FROM step s JOIN generation g ON g.id = s.generation_id
    WHERE s.job_id = :job_id AND s.kind = :kind AND s.fence IN (:fence, :fence + 1) FOR UPDATE OF s""")


def lock(tx: Connection, job_id: UUID, kind: StepKind, *, fence: int) -> Crashed | None:
    """Lock the step; None when another worker has moved on with it.

    ``fence`` is that of the ticket; a step that was claimed with it has the next one. Nothing of its generation's
    sends changes while the step is locked.
    """
    row = tx.execute(_LOCK, {"job_id": job_id, "kind": kind, "fence": fence}).one_or_none()
    return None if row is None else Crashed(**row._asdict() | {"kind": StepKind(row.kind)})


_POSTPONE = text("""
    UPDATE step SET crashes = :crashes, attempts = attempts + 1, error = left(:error, 300), due_at = :due_at,
        fence = CASE WHEN :is_claimed THEN fence ELSE fence + 1 END,
        lease_until = CASE WHEN :is_claimed THEN lease_until END
    WHERE job_id = :job_id""")


def postpone(tx: Connection, crashed: Crashed, *, error: str, due_at: datetime) -> None:
    """Count the crash, and let the step be due later; one that was claimed is free when its lease ends, too."""
    values = {"crashes": crashed.crashes, "error": error, "due_at": due_at}
    tx.execute(_POSTPONE, {**values, "is_claimed": crashed.is_claimed, "job_id": crashed.job_id})


@dataclass(frozen=True, kw_only=True)
class Crashes:
    """What crashes of our own code have done."""

    steps: int
    """Steps that have crashed at their last try."""
    ended: int
    """Jobs that were ended for it lately."""
    error: str | None
    """The words of one of the steps' crashes."""


_COUNT = text("""
    SELECT count(*) AS steps, max(error) AS error, (
        SELECT count(*) FROM job WHERE failure_code = :code AND ended_at > :since) AS ended
    FROM step WHERE crashes > 0""")

SHOWN_FOR = timedelta(days=1)


def count(tx: Connection, *, now: datetime) -> Crashes:
    """Count the steps that crash, and the jobs that were ended for it within a day."""
    row = tx.execute(_COUNT, {"code": give_up.CRASHED, "since": now - SHOWN_FOR}).one()
    return Crashes(**row._asdict())
