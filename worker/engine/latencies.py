"""What this node has seen of latencies, shared with the other nodes through the database every few seconds."""

import threading
from collections import defaultdict
from datetime import datetime, timedelta
from uuid import UUID

from worker.core.db.session import Database
from worker.engine.queries import latencies as stored
from worker.engine.rules import latency
from worker.engine.rules.latency import Histogram
from worker.engine.rules.polling import LearnedSchedule, PollSchedule

SHARE_EVERY = timedelta(seconds=5)
"""How often observations are written and read; those of a node that dies in between are lost, which is no harm."""

_UNKNOWN = Histogram()


class Latencies:
    """Observations per model, with and without a reference; safe to share between threads."""

    def __init__(self, account_id: UUID, documented: PollSchedule) -> None:
        """Start knowing nothing."""
        self._account_id = account_id
        self._documented = documented
        self._lock = threading.Lock()
        self._new: dict[tuple[str, bool], list[tuple[timedelta, timedelta]]] = defaultdict(list)
        self._seen: dict[tuple[str, bool], Histogram] = {}
        self._shared_at: datetime | None = None
        self.scarcity = 0.0
        """As the account's row has it, since the last round of dispatch."""

    def schedule(self, model: str, *, has_reference: bool) -> LearnedSchedule:
        """Return the schedule by which generations of this kind are polled now."""
        seen = self.seen(model, has_reference)
        return LearnedSchedule(documented=self._documented, seen=seen, scarcity=self.scarcity)

    def seen(self, model: str, has_reference: bool) -> Histogram:  # noqa: FBT001 - called by position
        """Return what is known of how long generations of this kind take."""
        return self._seen.get((model, has_reference), _UNKNOWN)

    def observe(self, model: str, *, has_reference: bool, low: timedelta, high: timedelta) -> None:
        """Keep that a generation of this kind ended between two ages."""
        with self._lock:
            self._new[model, has_reference].append((low, high))

    def share(self, database: Database, now: datetime) -> bool:
        """Write what is new and read what all nodes know, if it is time; True when it was."""
        # A last time that lies ahead is that of a clock that was set back since.
        if self._shared_at is not None and self._shared_at <= now < self._shared_at + SHARE_EVERY:
            return False
        self._shared_at = now
        with self._lock:
            news, self._new = self._new, defaultdict(list)
        with database.transaction() as tx:
            for (model, has_reference), observations in sorted(news.items()):
                before = stored.lock(tx, self._account_id, model, has_reference=has_reference)
                after = latency.merged(before, observations)
                stored.save(tx, self._account_id, model, has_reference=has_reference, histogram=after, now=now)
            self._seen = stored.read(tx, self._account_id)
        return True
