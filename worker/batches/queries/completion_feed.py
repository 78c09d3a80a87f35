"""Which jobs of a batch have ended since a look, each end once; a look costs what is new, not the batch."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from worker.batches.queries import results
from worker.batches.queries.results import Outcome
from worker.core.db.session import Database
from worker.engine.queries import steps

OVERLAP = timedelta(minutes=2)
"""So far back each look goes again: an end is dated before it is committed, by clocks that differ a little."""

_AT_ONCE = 1_000
_NEVER = datetime.min.replace(tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_JOB = UUID(int=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """One end of one job; a job that is retried ends again."""

    ended_at: datetime
    job_id: UUID
    line: int


class Ends:
    """Remembers the last end that it gave of each line: 8 bytes a line, so that the database's clock may go back."""

    def __init__(self, database: Database, batch_id: UUID) -> None:
        """Start before the first."""
        self._database = database
        self._batch_id = batch_id
        self._given = array("q")
        self._since = self._looked_at = self._latest = _NEVER

    def new(self, *, is_last: bool = False) -> Iterator[Outcome]:
        """Yield the outcome of each job whose end was not yielded before, in the order in which they ended.

        A look goes back by ``OVERLAP`` before the one before it, or before the clock where that was set back. The
        last look reads every end of the batch, so that none is left out whatever the clock did meanwhile.
        """
        began_at = self._now()
        self._go_back(before=began_at, is_last=is_last)
        last = End(ended_at=self._since, job_id=_NO_JOB, line=0)
        while True:
            with self._database.transaction() as tx:
                page = _after(tx, self._batch_id, last)
                fresh = [end for end in page if not self._is_given(end)]
                found = results.of_jobs(tx, [end.job_id for end in fresh])
            yield from self._give(fresh, found)
            if len(page) < _AT_ONCE:
                break
            last = page[-1]
        self._go_on(until=min(began_at, self._latest))

    def _give(self, fresh: Sequence[End], found: dict[UUID, Outcome]) -> Iterator[Outcome]:
        for end in fresh:
            outcome = found.get(end.job_id)
            # A job that was retried between the two queries is returned when it ends again.
            if outcome is not None and outcome.ended_at == end.ended_at:
                self._note(end)
                yield outcome

    def _is_given(self, end: End) -> bool:
        return end.line < len(self._given) and self._given[end.line] == _microseconds(end.ended_at)

    def _note(self, end: End) -> None:
        if end.line >= len(self._given):
            self._given.extend([0] * (end.line + 1 - len(self._given)))
        self._given[end.line] = _microseconds(end.ended_at)
        self._latest = max(self._latest, end.ended_at)

    def _go_back(self, *, before: datetime, is_last: bool) -> None:
        if is_last:
            self._since = _NEVER
        elif before < self._looked_at:
            # The database's clock was set back: what ends from now on is dated before what was given.
            self._since = min(self._since, before - OVERLAP)
            self._latest = min(self._latest, before)
        self._looked_at = before

    def _go_on(self, until: datetime) -> None:
        if until > _NEVER + OVERLAP:
            self._since = until - OVERLAP

    def _now(self) -> datetime:
        with self._database.transaction() as tx:
            now: datetime = tx.execute(text("SELECT now()")).scalar_one()
            return now


def _microseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)


_AFTER = text("""
    SELECT ended_at, id AS job_id, line FROM job
    WHERE batch_id = :batch_id AND ended_at IS NOT NULL AND (ended_at, id) > (:ended_at, :id)
    ORDER BY ended_at, id LIMIT :limit""")


def _after(tx: Connection, batch_id: UUID, last: End) -> list[End]:
    asked = {"batch_id": batch_id, "ended_at": last.ended_at, "id": last.job_id, "limit": _AT_ONCE}
    return [End(ended_at=row.ended_at, job_id=row.job_id, line=row.line) for row in tx.execute(_AFTER, asked)]


# Neither part looks at the whole batch: a pending job of each model is found by the index, as the dispatcher does, and
# steps are as few as jobs are in flight.
_HAS_LIVE = text(f"""
    SELECT EXISTS (
            SELECT FROM batch b CROSS JOIN unnest(b.models) m(model) CROSS JOIN LATERAL (
                SELECT line FROM job
                WHERE batch_id = b.id AND model = m.model AND state = 'pending' ORDER BY line LIMIT 1) first
            WHERE b.id = :id)
        OR EXISTS (SELECT FROM {steps.WITH_GENERATION} WHERE g.batch_id = :id)""")


def has_live(tx: Connection, batch_id: UUID) -> bool:
    """Whether a job of the batch has not ended."""
    found: bool = tx.execute(_HAS_LIVE, {"id": batch_id}).scalar_one()
    return found


# The highest numbers of a batch go first: of what is left each number is below those that a later look gives, so that
# a stream in between sends each end once, and that of the batch last.
_DELETE_NUMBERS = text("""
    WITH RECURSIVE numbered AS (
        (SELECT batch_id FROM feed_event ORDER BY batch_id LIMIT 1)
        UNION ALL
        SELECT (SELECT f.batch_id FROM feed_event f WHERE f.batch_id > n.batch_id ORDER BY f.batch_id LIMIT 1)
        FROM numbered n WHERE n.batch_id IS NOT NULL),
    old AS (
        SELECT n.batch_id FROM numbered n
        WHERE (SELECT f.numbered_at FROM feed_event f WHERE f.batch_id = n.batch_id
                ORDER BY f.number DESC LIMIT 1) < :before
            AND NOT EXISTS (SELECT FROM job j WHERE j.batch_id = n.batch_id AND j.state IN ('pending', 'active')))
    DELETE FROM feed_event WHERE number IN (
        SELECT e.number FROM old CROSS JOIN LATERAL (
            SELECT f.number FROM feed_event f WHERE f.batch_id = old.batch_id
            ORDER BY f.number DESC LIMIT :limit) e
        ORDER BY old.batch_id, e.number DESC LIMIT :limit)""")


def delete_numbers(tx: Connection, before: datetime, limit: int) -> int:
    """Delete numbers of ends of batches that are over and were last numbered before an instant; return how many.

    Who follows such a batch later is told of all its ends again.
    """
    return tx.execute(_DELETE_NUMBERS, {"before": before, "limit": limit}).rowcount
