"""The gauges of the fleet as Prometheus metrics, read from the database at a scrape."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime

import structlog
from prometheus_client import CollectorRegistry, Gauge, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from worker.core.db.session import Database
from worker.core.rules.errors import PauseReason, first_line
from worker.core.rules.states import JobState
from worker.core.version import version
from worker.metrics.queries import fleet
from worker.metrics.queries.fleet import AccountGauges, Fleet
from worker.metrics.rules.demand import Demand
from worker.metrics.rules.demand import demand as judged
from worker.node.queries import nodes
from worker.node.queries.nodes import NodeRow

log = structlog.get_logger(__name__)
FRESH_S = 5.0
"""Scrapes within it share one reading."""


def registry(database: Database, clock: Callable[[], datetime]) -> CollectorRegistry:
    """Return the metrics of a web process: the fleet's, its own, and its build."""
    found = CollectorRegistry()
    ProcessCollector(registry=found)
    Gauge("darkroom_build", "1, with the version as a label.", ["version"], registry=found).labels(version()).set(1)
    found.register(FleetCollector(database, clock))
    return found


class FleetCollector(Collector):
    """Reads the fleet's gauges from the database; for any thread."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime], *, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin without a reading; ``clock`` is the database's."""
        self._database, self._clock, self._now_s = database, clock, now_s
        self._reading = threading.Lock()
        self._read_s: float | None = None
        self._metrics: list[Metric] = []

    def describe(self) -> list[Metric]:
        """Name no metric: that would be a reading of the database for each registration."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield each metric; ``darkroom_database_up`` is 0, and alone, when the database cannot be asked."""
        with self._reading:
            if self._read_s is None or self._now_s() - self._read_s >= FRESH_S:
                self._metrics = self._read()
                self._read_s = self._now_s()
            found = self._metrics
        yield from found

    def _read(self) -> list[Metric]:
        began_s = self._now_s()
        try:
            with self._database.transaction() as tx:
                fleet.limit(tx)
                seen, present = fleet.read(tx), nodes.read_all(tx)
                now = self._clock()
                wanted = [judged(each, now=now) for each in fleet.read_demand(tx, now=now)]
        except SQLAlchemyError as error:
            log.warning("metrics.not_read", error=first_line(getattr(error, "orig", None) or error))
            return [_single("darkroom_database_up", "Whether the last reading of the database succeeded.", 0)]
        return [
            _single("darkroom_database_up", "Whether the last reading of the database succeeded.", 1),
            _single("darkroom_scrape_seconds", "How long that reading took.", self._now_s() - began_s),
            *_of_fleet(seen),
            *_of_accounts(seen.accounts),
            *_of_nodes(present),
            *_of_demand(wanted),
        ]


def _single(name: str, help_: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_, value=value)


def _family(name: str, help_: str, labels: list[str], rows: list[tuple[list[str], float | None]]) -> Metric:
    """Return a metric with one sample for each row that has a value."""
    found = GaugeMetricFamily(name, help_, labels=labels)
    for values, value in rows:
        if value is not None:
            found.add_metric(values, value)
    return found


def _of_fleet(seen: Fleet) -> Iterator[Metric]:
    yield _family(
        "darkroom_jobs",
        "Jobs of batches that are not done, by state.",
        ["state"],
        [([state.value], seen.jobs[state]) for state in JobState],
    )
    yield _single(
        "darkroom_books_difference_credits",
        "Credits by which the sums of batches and of owners' months differ; 0, or the books do not balance.",
        seen.books_difference,
    )
    yield _family(
        "darkroom_maintenance_failing",
        "Whether recurring work failed when it was last done.",
        ["account", "kind"],
        [([each.account, each.kind], float(each.is_failing)) for each in seen.maintenance],
    )
    yield _family(
        "darkroom_maintenance_age_seconds",
        "Since recurring work last ended without an error.",
        ["account", "kind"],
        [([each.account, each.kind], each.age_s) for each in seen.maintenance],
    )


_OF_ACCOUNTS: tuple[tuple[str, str, Callable[[AccountGauges], float | None]], ...] = (
    ("darkroom_in_flight", "Jobs with a step: generations in progress.", lambda each: each.in_flight),
    ("darkroom_max_in_flight", "The most that may be.", lambda each: each.max_in_flight),
    ("darkroom_oldest_due_seconds", "For how long the oldest due step waits.", lambda each: each.oldest_due_s or 0.0),
    ("darkroom_holds_age_seconds", "Age of the oldest open hold.", lambda each: each.oldest_hold_s or 0.0),
    ("darkroom_in_doubt", "Generations that may have been charged.", lambda each: each.in_doubt),
    ("darkroom_uncollected", "Paid images that are not in the store yet.", lambda each: each.uncollected),
    (
        "darkroom_uncollected_age_seconds",
        "Since the oldest of them was paid.",
        lambda each: each.oldest_uncollected_s or 0.0,
    ),
    (
        "darkroom_account_paused_seconds",
        "How long the account is paused; 0: it is not.",
        lambda each: each.paused_s or 0,
    ),
    ("darkroom_account_blocked_seconds", "How long its key stays closed; 0: open.", lambda each: each.blocked_s or 0),
    ("darkroom_wallet_credits", "The wallet's last reading, less what was held since.", lambda each: each.wallet_left),
    ("darkroom_wallet_age_seconds", "Since that reading.", lambda each: each.wallet_age_s),
    ("darkroom_rate_limit", "Requests per second that are permitted.", lambda each: each.rate),
    ("darkroom_read_rate_limit", "Reads per second, where they count apart.", lambda each: each.read_rate),
    (
        "darkroom_rate_limit_saturation",
        "Share of the limit in use: 0, every request finds a slot, to 1, all wait for one.",
        lambda each: each.saturation,
    ),
)


def _of_accounts(seen: tuple[AccountGauges, ...]) -> Iterator[Metric]:
    for name, help_, value in _OF_ACCOUNTS:
        yield _family(name, help_, ["account"], [([each.account], value(each)) for each in seen])
    yield _family(
        "darkroom_credits",
        "Credits by where they lie.",
        ["account", "state"],
        [
            ([each.account, state], amount)
            for each in seen
            for state, amount in (("held", each.held), ("reserved", each.reserved), ("spent", each.spent))
        ],
    )
    yield _family(
        "darkroom_account_paused",
        "1 for the reason for which an account is paused.",
        ["account", "reason"],
        [
            ([each.account, reason.value], float(each.pause_reason == reason.value))
            for each in seen
            for reason in PauseReason
        ],
    )


def _of_nodes(present: list[NodeRow]) -> Iterator[Metric]:
    states = {"ready": 0, "stalled": 0, "lost": 0}
    for node in present:
        states["lost" if not node.is_alive else "stalled" if node.is_stalled else "ready"] += 1
    yield _family(
        "darkroom_nodes",
        "Nodes by state: ready, stalled (no dispatch round) or lost (not seen lately).",
        ["state"],
        [([state], count) for state, count in states.items()],
    )
    alive = [node for node in present if node.is_alive]
    yield _family(
        "darkroom_clock_offset_seconds",
        "A node's wall clock less the database's.",
        ["node"],
        [([node.name], node.clock_offset_s) for node in alive],
    )


def _of_demand(wanted: list[Demand]) -> Iterator[Metric]:
    yield _family(
        "darkroom_admissible_requests",
        "Requests that nodes may send within the next minute: due steps and admissible jobs, under the rate limit.",
        ["account"],
        [([each.account], each.requests_per_minute) for each in wanted],
    )
