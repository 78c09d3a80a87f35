"""The progress of this node, as its listener tells it."""

import threading
import time
from collections.abc import Callable, Sequence

from sqlalchemy.exc import SQLAlchemyError

from worker.core.rules.errors import first_line
from worker.engine.services import Services
from worker.node.consumer_watchdog import Threads
from worker.node.heartbeat import Heartbeat
from worker.node.queries import waiting
from worker.node.rules.readiness import NodeFacts, Readiness, judge


class Progress:
    """Puts together what readiness is judged by; for any thread."""

    def __init__(
        self,
        services: Services,
        heartbeat: Heartbeat,
        threads: Threads,
        *,
        concurrency: int,
        others: Sequence[Services] = (),
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin as a node that has just started."""
        self._services, self._heartbeat, self._threads = services, heartbeat, threads
        self._accounts = [each.account_id for each in (services, *others)]
        self._concurrency = concurrency
        self._now_s = now_s
        self._began_s = now_s()
        self._draining = threading.Event()
        # One at a time: probes that pile up while the database is slow may not take its connections.
        self._asking = threading.Lock()

    def drain(self) -> None:
        """Note that the node was told to end."""
        self._draining.set()

    def ready(self) -> Readiness:
        """Return whether the node makes progress; asks the database what waits."""
        with self._asking:
            return judge(self._facts())

    def _facts(self) -> NodeFacts:
        found, failure = None, None
        if not self._draining.is_set():
            try:
                with self._services.database.transaction() as tx:
                    found = max((waiting.read(tx, each) for each in self._accounts), key=lambda w: w.waiting_s or 0.0)
            except SQLAlchemyError as error:
                failure = first_line(getattr(error, "orig", None) or error)
        now_s, taken_s = self._now_s(), self._threads.taken_at_s
        return NodeFacts(
            is_draining=self._draining.is_set(),
            up_s=now_s - self._began_s,
            round_age_s=self._heartbeat.round_age_s,
            error=self._heartbeat.error,
            taken_age_s=None if taken_s is None else now_s - taken_s,
            are_threads_busy=self._threads.busy >= self._concurrency,
            waiting_s=None if found is None else found.waiting_s,
            rate=None if found is None else found.rate,
            database_error=failure,
        )
