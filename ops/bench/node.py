"""A Darkroom of one node: its settings, its start, a batch put in, and the wait for its end."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from sqlalchemy import text

from ops.bench import ground
from ops.bench.ground import Ground, Sandbox
from worker.core.db.session import Database
from worker.enqueue import enqueue
from worker.storage.store import open_store

THREADS = 16


@dataclass(frozen=True, kw_only=True)
class Darkroom:
    """A database, a broker, a store and a provider, ready for nodes."""

    database: Database
    environment: Mapping[str, str]
    folder: Path

    @contextmanager
    def node(self, **environment: str) -> Iterator[psutil.Process]:
        """Yield a node that works; it drains when the block ends."""
        number = len(list(self.folder.glob("*.log"))) + 1
        command = [sys.executable, "-m", "celery", "-A", "worker.celery_app", "worker", "--without-mingle"]
        command += ["-n", f"bench-{number}"]
        log = self.folder / f"node-{number}.log"
        with ground.child(command, {**self.environment, **environment}, log, ready=" ready.") as process:
            yield process

    def submit(self, count: int, *, name: str, **batch: object) -> float:
        """Enqueue a batch of so many jobs without references; gives the seconds that it took."""
        started = time.perf_counter()
        requests = [{"key": f"{n:08d}", "prompt": f"A chair, number {n}", "image_size": "square"} for n in range(count)]
        with self.database.bulk_transaction() as tx:
            store = open_store(self.environment["DARKROOM_STORE"])
            enqueue(tx, {"name": name, **batch}, requests, base=self.folder, store=store)
        return time.perf_counter() - started

    def wait_for_pool(self, accounts: int) -> None:
        """Return when a node has made known that so many accounts are of pools."""

        def known() -> bool:
            with self.database.transaction() as tx:
                found = tx.execute(text("SELECT count(*) FROM account WHERE pools <> '{}'")).scalar_one()
            return int(found) == accounts

        ground.wait_until(known, "the node has said its pools", timeout_s=30)

    def unfinished(self) -> int:
        """Count the jobs that have not ended."""
        with self.database.transaction() as tx:
            statement = "SELECT count(*) FROM job WHERE state IN ('pending', 'active')"
            return int(tx.execute(text(statement)).scalar_one())

    def wait(self, *, timeout_s: float) -> None:
        """Return when every job has ended."""
        ground.wait_until(lambda: self.unfinished() == 0, "every job has ended", timeout_s=timeout_s, every_s=0.25)


@contextmanager
def darkroom(place: Ground, provider: Sandbox, *, name: str, broker: int, **environment: str) -> Iterator[Darkroom]:
    """Yield a Darkroom of its own on the ground's services."""
    folder = place.folder / name
    folder.mkdir()
    url = place.database_url(f"bench_{name}")
    settings = {
        "DARKROOM_DATABASE_URL": url,
        "DARKROOM_BROKER_URL": place.broker_url(broker),
        "DARKROOM_STORE": str(folder / "images"),
        "DARKROOM_HOME": str(folder / "home"),
        "DARKROOM_CONCURRENCY": str(THREADS),
        "RIVYA_BASE_URL": provider.base_url,
        "RIVYA_API_KEY": provider.key,
        **environment,
    }
    database = Database(url, connections=2)
    try:
        yield Darkroom(database=database, environment=settings, folder=folder)
    finally:
        database.close()
