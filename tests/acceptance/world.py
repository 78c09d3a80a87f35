"""All parts of a Darkroom for one test: a database, a broker, a store, a provider, and nodes to start and to end."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.acceptance import brokers, nodes
from tests.acceptance.nodes import THIS_VERSION, WorkerNode
from tests.acceptance.waiting import LOOK_EVERY_S, until
from tests.fixtures.provider import Provider
from worker.core.db.session import Database
from worker.enqueue import Receipt, enqueue
from worker.storage.store import Store, open_store

QUICK = {"DARKROOM_POLL_FIRST_S": "0.5", "DARKROOM_POLL_GAP_S": "0.3", "DARKROOM_RATE": "200"}
"""A pace for tests; the times of the leases and of the retries are the real ones."""
ENDED = ("succeeded", "failed", "cancelled", "in_doubt")
LONGEST_LEASE_S = 80
HASTE = 10
START_S = 30.0

ON_ONE_BROKER = pytest.mark.parametrize("broker_url", ["embedded"], indirect=True)
"""For what does not depend on the broker."""
ON_EACH_TRANSPORT = pytest.mark.parametrize("broker_url", ["embedded", "rabbitmq"], indirect=True)
"""For long runs: Redis is spoken to as the embedded Valkey is."""


@dataclass(kw_only=True)
class World:
    """Where everything is, and what a test does with it."""

    database: Database
    broker_url: str
    folder: Path
    """Where references lie, and the logs of the nodes."""
    provider: Provider
    environment: dict[str, str] = field(default_factory=dict)
    nodes: list[WorkerNode] = field(default_factory=list)

    @property
    def store(self) -> Store:
        return open_store(str(self.images))

    @property
    def images(self) -> Path:
        return self.folder / "images"

    @property
    def settings(self) -> dict[str, str]:
        """The environment of each process of this Darkroom."""
        return {
            "DARKROOM_DATABASE_URL": self.database.url.render_as_string(hide_password=False),
            "DARKROOM_BROKER_URL": self.broker_url,
            "DARKROOM_STORE": str(self.images),
            "DARKROOM_HOME": str(self.folder / "home"),
            "RIVYA_BASE_URL": self.provider.base_url,
            "RIVYA_API_KEY": self.provider.key,
            **QUICK,
            **self.environment,
        }

    def begin_node(self, *, module: str = "celery", root: str = THIS_VERSION, **environment: str) -> WorkerNode:
        """Start a node and do not wait for it."""
        self.nodes.append(nodes.start({**self.settings, **environment}, self.folder, module=module, root=root))
        return self.nodes[-1]

    def node(self, *, module: str = "celery", root: str = THIS_VERSION, **environment: str) -> WorkerNode:
        """Return a node that works."""
        started = self.begin_node(module=module, root=root, **environment)
        until(started.has_begun, "the node begins to work", timeout_s=START_S)
        return started

    def submit(self, requests: list[dict[str, object]], **batch: object) -> Receipt:
        """Enqueue a batch through the Python interface."""
        with self.database.transaction() as tx:
            return enqueue(tx, batch, requests, base=self.folder, store=self.store)

    def query(self, statement: str, **values: object) -> list[dict[str, Any]]:
        """Return the rows of a query as dictionaries; it is committed.

        It has all the rights of the database's owner, who sees and ends the sessions of others.
        """
        with self.database.engine.begin() as tx:
            tx.execute(text("SET LOCAL ROLE NONE"))
            found = tx.execute(text(statement), values)
            return [dict(row) for row in found.mappings()] if found.returns_rows else []

    def count(self, table: str, where: str = "true") -> int:
        """Count the rows of a table for which the condition holds."""
        return int(self.query(f"SELECT count(*) AS n FROM {table} WHERE {where}")[0]["n"])

    def wait_until_done(self, *, timeout_s: float = 60.0) -> None:
        """Wait until every job has ended."""
        until(lambda: self.unfinished() == 0, "every job has ended", timeout_s=timeout_s)

    def wait_until_done_in_haste(self, *, timeout_s: float = 60.0) -> None:
        """Wait until every job has ended, while leases see ten times as much time pass as there is."""
        until(self._is_done_in_haste, "every job has ended", timeout_s=timeout_s)

    def _is_done_in_haste(self) -> bool:
        self.pass_time(HASTE * LOOK_EVERY_S)
        return self.unfinished() == 0

    def unfinished(self) -> int:
        return self.count("job", f"state NOT IN {ENDED}")

    def pass_time(self, seconds: float = LONGEST_LEASE_S) -> None:
        """Move all leases that no node is writing back by this many seconds; by default longer than any lease."""
        self.query(
            """
            UPDATE step SET lease_until = lease_until - make_interval(secs => :s)
            WHERE job_id IN (SELECT job_id FROM step FOR UPDATE SKIP LOCKED)""",
            s=seconds,
        )

    def pass_waits(self, seconds: float) -> None:
        """Move what steps, and probes of the paused account, wait for back by this many seconds; leases, too."""
        self.pass_time(seconds)
        self.query(
            """
            UPDATE step SET due_at = due_at - make_interval(secs => :s), since = since - make_interval(secs => :s)
            WHERE job_id IN (SELECT job_id FROM step FOR UPDATE SKIP LOCKED)""",
            s=seconds,
        )
        self.query(
            """
            UPDATE account SET probe_at = probe_at - make_interval(secs => :s),
                paused_at = paused_at - make_interval(secs => :s)
            WHERE pause_reason IS NOT NULL""",
            s=seconds,
        )

    def live_through(self, *, seconds: float, speed: float, until_done: bool = False) -> None:
        """Let so many seconds pass for all that waits, that many times as fast as they do, or until every job ends."""
        began = seen = time.monotonic()
        while seen < began + seconds / speed and not (until_done and self.unfinished() == 0):
            time.sleep(LOOK_EVERY_S)
            now = time.monotonic()
            self.pass_waits((now - seen) * (speed - 1))
            seen = now

    def cut_connections(self) -> None:
        """End every session on the database, this test's own too, as a restart of the server does."""
        self.database.engine.dispose()
        self.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    def words(self) -> str:
        """Return the last words of each node."""
        return "\n".join(f"--- {node.log.name}\n{node.words()[-nodes.TAIL :]}" for node in self.nodes)


@contextmanager
def opened(database_url: str, broker_url: str, folder: Path, provider: Provider) -> Iterator[World]:
    """Yield a Darkroom on an empty broker, with no node yet; its nodes are killed when the block ends."""
    brokers.empty(broker_url)
    world = World(database=Database(database_url), broker_url=broker_url, folder=folder, provider=provider)
    try:
        yield world
    finally:
        for node in world.nodes:
            node.kill()
        world.database.close()
        sys.stdout.write(world.words())
