"""The console's list of batches: filtered, counted under the same filter, and a page at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.rules.states import JobState, StepKind
from worker.engine.queries import batches, steps
from worker.engine.queries.batches import BatchRow, Place


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which batches are listed; None: no limit of that kind."""

    state: str | None = None
    """open, paused, done, cancelled or refused; or failed or in_doubt: with such jobs, wherever they stand."""
    owner: str | None = None
    words: str | None = None
    """Part of a name, the beginning of an id, or a token."""

    def values(self) -> dict[str, Any]:
        """Return the values that the statements take."""
        return {"state": self.state, "owner": self.owner, "words": self.words}


# As overview.display_state has it, but for running and waiting, which are both open here. A batch that is known to be
# done is not looked into.
_SHOWN = """CASE
        WHEN b.state = 'refused' THEN 'refused'
        WHEN b.state = 'cancelled' AND (
            b.done_at IS NULL
                AND (SELECT sum(pending + active) > 0 FROM job_count WHERE batch_id = b.id)
            OR (SELECT sum(cancelled) > 0 FROM job_count WHERE batch_id = b.id)
            OR (SELECT jobs -> 'cancelled' IS NOT NULL FROM archived_batch WHERE batch_id = b.id)) THEN 'cancelled'
        WHEN b.done_at IS NOT NULL
            OR (SELECT sum(pending + active) > 0 FROM job_count WHERE batch_id = b.id) IS NOT TRUE
            THEN 'done'
        WHEN b.state = 'paused' THEN 'paused' ELSE 'open' END"""
_MATCHES = """(CAST(:owner AS text) IS NULL OR b.owner = :owner)
      AND (CAST(:words AS text) IS NULL OR strpos(lower(b.name), lower(:words)) > 0 OR b.token = :words
        OR starts_with(b.id::text, lower(:words)))"""
# To count batches with failures the counts of all are read once. A page looks
# into one batch after the other, newest first, until it is full.
_COUNT = text(f"""
    SELECT {_SHOWN} AS shown, count(*) AS batches, count(*) FILTER (WHERE f.has_failed) AS failed,
        count(*) FILTER (WHERE f.has_doubt) AS in_doubt
    FROM batch b LEFT JOIN (
        SELECT batch_id, sum(failed) > 0 AS has_failed, sum(in_doubt) > 0 AS has_doubt
        FROM job_count GROUP BY batch_id) f ON f.batch_id = b.id
    WHERE {_MATCHES} GROUP BY shown""")
_PAGE = """
    SELECT b.id, b.committed FROM batch b
    WHERE (CAST(:before AS timestamptz) IS NULL OR (b.created_at, b.id) < (:before, :before_id))
      AND {matches} AND {state}
    ORDER BY b.created_at DESC, b.id DESC LIMIT :limit"""
_HAS = "(SELECT true FROM job WHERE batch_id = b.id AND state = '{state}' AND state IN ('failed', 'in_doubt') LIMIT 1)"
_PAGES = {
    kind: text(_PAGE.format(matches=_MATCHES, state=condition))
    for kind, condition in {
        "all": "true",
        "failed": _HAS.format(state="failed"),
        "in_doubt": _HAS.format(state="in_doubt"),
        "other": f"{_SHOWN} = :state",
    }.items()
}


def count(tx: Connection, wanted: Filter) -> dict[str, int]:
    """Count the batches of the filter by state, ignoring the state that it names, and in all."""
    rows = tx.execute(_COUNT, wanted.values()).all()
    found = {row.shown: row.batches for row in rows}
    return found | {
        "all": sum(found.values()),
        "failed": sum(row.failed for row in rows),
        "in_doubt": sum(row.in_doubt for row in rows),
    }


def page(tx: Connection, wanted: Filter, *, after: Place | None, limit: int) -> list[tuple[BatchRow, int]]:
    """Return the next batches of the filter, newest first, each with the credits that it has committed."""
    values = {
        **wanted.values(),
        "limit": limit,
        "before": None if after is None else after.created_at,
        "before_id": None if after is None else after.id,
    }
    statement = _PAGES["all" if wanted.state is None else wanted.state if wanted.state in _PAGES else "other"]
    found = {row.id: row.committed for row in tx.execute(statement, values)}
    rows = {row.id: row for row in batches.by_ids(tx, list(found))}
    return [(rows[batch_id], committed) for batch_id, committed in found.items()]


def owners(tx: Connection) -> list[str]:
    """Return the owners of all batches by name."""
    return list(tx.execute(text("SELECT DISTINCT owner FROM batch ORDER BY owner")).scalars())


_IN_FLIGHT = text(f"""
    SELECT g.batch_id, s.kind, count(*) AS steps,
        count(*) FILTER (WHERE s.hinted_at IS NOT NULL AND (s.looked_at IS NULL OR s.looked_at < s.hinted_at)) AS hinted
    FROM {steps.WITH_GENERATION}
    WHERE g.batch_id = ANY(:ids) GROUP BY g.batch_id, s.kind""")


@dataclass(frozen=True, kw_only=True)
class Split:
    """Where the open jobs of a batch are."""

    queued: int = 0
    """In our own queue: they wait for their turn, for an upload, or for the provider to take them."""
    at_provider: int = 0
    """Taken by the provider, which has not said that it has ended them."""
    ended_there: int = 0
    """Ended by the provider as its webhook says, and asked for next."""
    fetching: int = 0
    """Ended by the provider, which is noticed, and being downloaded."""


def split(tx: Connection, jobs_: Mapping[UUID, Mapping[JobState, int]]) -> dict[UUID, Split]:
    """Return where the open jobs of each batch are."""
    rows = tx.execute(_IN_FLIGHT, {"ids": list(jobs_)}).all()
    steps: dict[tuple[UUID, StepKind], int] = {(row.batch_id, StepKind(row.kind)): row.steps for row in rows}
    hinted: dict[UUID, int] = {row.batch_id: row.hinted for row in rows if row.kind == StepKind.POLL}
    return {
        batch_id: Split(
            queued=states[JobState.PENDING]
            + steps.get((batch_id, StepKind.UPLOAD), 0)
            + steps.get((batch_id, StepKind.SUBMIT), 0),
            at_provider=steps.get((batch_id, StepKind.POLL), 0) - hinted.get(batch_id, 0),
            ended_there=hinted.get(batch_id, 0),
            fetching=steps.get((batch_id, StepKind.COLLECT), 0),
        )
        for batch_id, states in jobs_.items()
    }
