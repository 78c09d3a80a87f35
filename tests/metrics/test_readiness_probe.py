"""What a node's readiness is judged by, asked of a real database while the node's monotonic clock is moved."""

from dataclasses import replace
from datetime import datetime

import pytest
from sqlalchemy import text

from tests.pipeline.node import Node
from worker.core.db.clock import DatabaseClock
from worker.core.db.session import Database
from worker.node.consumer_watchdog import Threads
from worker.node.heartbeat import Heartbeat
from worker.node.metrics import ReadinessProbe


class Watched:
    """A node of which only the progress is real: nothing takes its messages."""

    def __init__(self, node: Node) -> None:
        self.node, self.now_s, self.threads = node, 1000.0, Threads()
        self.heartbeat = Heartbeat(node.services, DatabaseClock())
        self.probe = ReadinessProbe(
            node.services, self.heartbeat, self.threads, concurrency=2, now_s=lambda: self.now_s
        )
        self.heartbeat.round_completed()

    def reason(self) -> str:
        return self.probe.ready().reason


@pytest.fixture
def watched(node: Node) -> Watched:
    """Return a node whose only step is due for two minutes."""
    node.submit({"prompt": "A chair"})
    node.round()
    change(node, "UPDATE step SET due_at = clock_timestamp() - interval '2 minutes', kind = 'poll'")
    change(node, "UPDATE account SET blocked_until = NULL, resumed_at = NULL, rate = 10")
    return Watched(node)


def change(node: Node, statement: str, **values: datetime) -> None:
    with node.services.database.transaction() as tx:
        tx.execute(text(statement), values)


def test_a_node_that_takes_nothing_although_work_waits_is_not_ready(watched: Watched) -> None:
    assert watched.reason() == "ready"

    watched.now_s += 61

    assert watched.reason() == "takes_nothing"


def test_a_lease_hides_no_work_that_nobody_does(watched: Watched) -> None:
    change(watched.node, "UPDATE step SET lease_until = clock_timestamp() + interval '1 minute'")
    watched.now_s += 61

    assert watched.reason() == "takes_nothing"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE account SET pause_reason = 'operator', paused_at = clock_timestamp()",
        "UPDATE account SET blocked_until = clock_timestamp() + interval '1 hour'",
        "UPDATE account SET resumed_at = clock_timestamp() - interval '5 seconds'",
        "UPDATE step SET kind = 'collect'",
        "DELETE FROM step",
    ],
    ids=["paused", "blocked", "just resumed", "a download", "nothing"],
)
def test_what_cannot_be_done_now_is_not_waited_for(watched: Watched, statement: str) -> None:
    change(watched.node, statement)
    watched.now_s += 61

    assert watched.reason() == "ready"


def test_a_node_whose_threads_are_busy_is_ready(watched: Watched) -> None:
    watched.threads.begin()
    watched.threads.begin()
    watched.threads.taken_at_s = watched.now_s
    watched.now_s += 61

    assert watched.reason() == "ready"


def test_a_node_without_its_database_is_not_ready(watched: Watched) -> None:
    away = Database("postgresql+psycopg://127.0.0.1:1/none")
    watched.node.services = replace(watched.node.services, database=away)
    alone = Watched(watched.node)

    found = alone.probe.ready()

    assert (found.reason, "Connection refused" in found.detail) == ("database", True)


def test_a_node_that_was_told_to_end_drains(watched: Watched) -> None:
    watched.probe.drain()

    assert watched.reason() == "draining"
