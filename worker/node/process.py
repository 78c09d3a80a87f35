"""The parts of this worker process, put together once, when they are first needed."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from uuid import UUID

import structlog

from worker import settings, wiring
from worker.core import tracing
from worker.core.db import schema
from worker.engine.queries import maintenance as maintenance_queries
from worker.engine.services import Services
from worker.intake.rules import delivery
from worker.node import maintenance
from worker.node.metrics import NodeMeters
from worker.settings import Settings

log = structlog.get_logger(__name__)
SPARE_THREADS = 2
"""Of each of several accounts, beside those for its steps: for its maintenance and its probes."""


@lru_cache(maxsize=1)
def meters() -> NodeMeters:
    """Return what this process measures of itself."""
    return NodeMeters()


@lru_cache(maxsize=1)
def services_of_each() -> Mapping[str, Services]:
    """Return what this process has for each account that it serves, by the account's name; from its environment."""
    chosen = settings.load()
    if untraced := tracing.configure("node"):
        log.warning("traces.not_sent", next_step=untraced)
    _check_schema(chosen)
    made = wiring.services_of_each(chosen)
    for each in made.values():
        with each.database.transaction() as tx:
            maintenance_queries.configure(tx, each.account_id, maintenance.intervals(chosen), now=each.clock())
    return {name: replace(each, meters=meters()) for name, each in made.items()}


@lru_cache(maxsize=1)
def services() -> Services:
    """Return those of the account that is meant where none is named, or of the first."""
    each = services_of_each()
    return each.get(settings.load().account) or next(iter(each.values()))


def services_of(suffix: str | None) -> Services | None:
    """Return those of the account whose queues end so; None: this node does not serve it."""
    each = services_of_each()
    if suffix is None and len(each) == 1:
        return services()
    return next((one for name, one in each.items() if delivery.suffix_of(name) == suffix), None)


class AccountThreads:
    """How many threads are at the steps of each account: one that waits for a slow provider may not take them all."""

    def __init__(self) -> None:
        """Begin without a bound, as where there is one account."""
        self._lock = threading.Lock()
        self._busy: Counter[UUID] = Counter()
        self._most: int | None = None

    def bound(self, most: int | None) -> None:
        """Let each account have so many threads at the most."""
        self._most = most

    def idle(self, account_id: UUID) -> int | None:
        """Return how many more the account may have; None: as many as there are."""
        return None if self._most is None else max(0, self._most - self._busy[account_id])

    @contextmanager
    def taken(self, account_id: UUID) -> Iterator[bool]:
        """Count this thread while the block lasts; yields False, and counts nothing, when the account has its share."""
        with self._lock:
            is_free = self._most is None or self._busy[account_id] < self._most
            self._busy[account_id] += is_free
        try:
            yield is_free
        finally:
            with self._lock:
                self._busy[account_id] -= is_free


account_threads = AccountThreads()


def _check_schema(chosen: Settings) -> None:
    """Raise WrongSchema where a node would meet tables that it was not written for, before it writes to any."""
    database = wiring.database(chosen, connections=1)
    try:
        with database.transaction() as tx:
            schema.check(tx)
    finally:
        database.close()
