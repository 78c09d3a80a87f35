"""What happened lately: the clocks of images, the errors of steps, and the batches that are not done."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.rules.states import StepKind

_MOST = 2_000
"""The newest images are looked at, up to this many."""
_CLOCKS = text("""
    SELECT count(*) AS images, percentile_cont(0.5) WITHIN GROUP (ORDER BY queue_s) AS queue_s,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY provider_s) AS provider_s,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY download_s) AS download_s
    FROM (
        SELECT extract(epoch FROM g.first_sent_at - b.created_at)::float8 AS queue_s,
            extract(epoch FROM g.ended_at - g.accepted_at)::float8 AS provider_s,
            extract(epoch FROM r.stored_at - g.ended_at)::float8 AS download_s
        FROM job j JOIN batch b ON b.id = j.batch_id JOIN result r ON r.job_id = j.id
        JOIN generation g ON g.id = r.generation_id
        WHERE j.ended_at > :since ORDER BY j.ended_at DESC LIMIT :most) newest""")
_ERRORS = text("""
    SELECT kind, error, count(*) AS steps FROM step WHERE error IS NOT NULL AND attempts > 0
    GROUP BY kind, error ORDER BY count(*) DESC, error LIMIT :limit""")
_UNDONE = text("""
    SELECT id FROM batch WHERE done_at IS NULL AND state <> 'refused' ORDER BY id DESC LIMIT :limit""")


@dataclass(frozen=True, kw_only=True)
class Clocks:
    """Medians of the images that were stored lately, in seconds; None where there is none."""

    images: int
    queue_s: float | None
    """From the submission of the batch to the first paid request."""
    provider_s: float | None
    """At the provider, with the time until its end was seen."""
    download_s: float | None


@dataclass(frozen=True, kw_only=True)
class StepErrors:
    """Steps that failed with the same words at their last try."""

    kind: StepKind
    error: str
    steps: int


def clocks(tx: Connection, *, since: datetime) -> Clocks:
    """Return the clocks of the images that were stored since then."""
    return Clocks(**tx.execute(_CLOCKS, {"since": since, "most": _MOST}).mappings().one())


def errors(tx: Connection, *, limit: int) -> list[StepErrors]:
    """Return the errors that most steps have now."""
    rows = tx.execute(_ERRORS, {"limit": limit})
    return [StepErrors(kind=StepKind(row.kind), error=row.error, steps=row.steps) for row in rows]


def undone(tx: Connection, *, limit: int) -> list[UUID]:
    """Return the batches that are not done, the newest first."""
    return list(tx.execute(_UNDONE, {"limit": limit}).scalars())
