"""Which jobs of a batch have ended since a look, each end once; a look costs what is new, not the batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from worker.db import outcomes_view
from worker.db.outcomes_view import Outcome
from worker.db.session import Database

OVERLAP = timedelta(minutes=2)
"""So far back each look goes again: an end is dated before it is committed, by clocks that differ a little."""

_AT_ONCE = 1_000
_NEVER = datetime.min.replace(tzinfo=UTC)
_NO_JOB = UUID(int=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """One end of one job; a job that is asked for again ends again."""

    ended_at: datetime
    job_id: UUID


class Ends:
    """Remembers which ends it gave of the last two minutes; those before it are all given."""

    def __init__(self, database: Database, batch_id: UUID) -> None:
        """Start before the first."""
        self._database = database
        self._batch_id = batch_id
        self._given: set[End] = set()
        self._since = _NEVER

    def new(self) -> Iterator[Outcome]:
        """Yield what came of every job whose end was not given yet, in the order in which they ended."""
        began_at, last = self._now(), End(ended_at=self._since, job_id=_NO_JOB)
        while True:
            with self._database.transaction() as tx:
                page = _after(tx, self._batch_id, last)
                fresh = [end for end in page if end not in self._given]
                found = outcomes_view.of_jobs(tx, [end.job_id for end in fresh])
            yield from self._give(fresh, found)
            if len(page) < _AT_ONCE:
                break
            last = page[-1]
        self._forget(before=min(began_at, max((end.ended_at for end in self._given), default=_NEVER)))

    def _give(self, fresh: Sequence[End], found: dict[UUID, Outcome]) -> Iterator[Outcome]:
        for end in fresh:
            outcome = found.get(end.job_id)
            # A job that was asked for again between the two queries is given when it ends again.
            if outcome is not None and outcome.ended_at == end.ended_at:
                self._given.add(end)
                yield outcome

    def _forget(self, before: datetime) -> None:
        if before > _NEVER + OVERLAP:
            self._since = before - OVERLAP
            self._given = {end for end in self._given if end.ended_at >= self._since}

    def _now(self) -> datetime:
        with self._database.transaction() as tx:
            now: datetime = tx.execute(text("SELECT now()")).scalar_one()
            return now


_AFTER = text("""
    SELECT ended_at, id AS job_id FROM job
    WHERE batch_id = :batch_id AND ended_at IS NOT NULL AND (ended_at, id) > (:ended_at, :id)
    ORDER BY ended_at, id LIMIT :limit""")


def _after(tx: Connection, batch_id: UUID, last: End) -> list[End]:
    asked = {"batch_id": batch_id, "ended_at": last.ended_at, "id": last.job_id, "limit": _AT_ONCE}
    return [End(ended_at=row.ended_at, job_id=row.job_id) for row in tx.execute(_AFTER, asked)]


# Neither part looks at the whole batch: a pending job of each model is found by the index, as the dispatcher does, and
# steps are as few as jobs are in flight.
_HAS_LIVE = text("""
    SELECT EXISTS (
            SELECT FROM batch b CROSS JOIN unnest(b.models) m(model) CROSS JOIN LATERAL (
                SELECT line FROM job
                WHERE batch_id = b.id AND model = m.model AND state = 'pending' ORDER BY line LIMIT 1) first
            WHERE b.id = :id)
        OR EXISTS (SELECT FROM step s JOIN job j ON j.id = s.job_id WHERE j.batch_id = :id)""")


def has_live(tx: Connection, batch_id: UUID) -> bool:
    """Whether a job of the batch has not ended."""
    found: bool = tx.execute(_HAS_LIVE, {"id": batch_id}).scalar_one()
    return found
