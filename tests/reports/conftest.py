"""A ledger with everything in it that can happen: refunds, overruns, drifted prices, doubts, readings of the wallet."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from uuid_utils.compat import uuid7

from tests.fixtures import databases
from tests.fixtures.provider import Provider
from tests.pipeline import node as nodes
from tests.pipeline.conftest import clock, folder, node, node_for, process, sandbox
from tests.pipeline.node import Clock, Node
from worker.accounts.queries import accounts
from worker.audit.evidence import Printed, printed
from worker.audit.reports import Report, ReportQuery, build
from worker.audit.rules.reporting import Format, ReportName
from worker.audit.sealing import closed_instant

__all__ = ["clock", "folder", "node", "node_for", "process", "sandbox"]


@dataclass(kw_only=True)
class World:
    """A node that has worked, its provider, and the instant up to which its books are closed."""

    node: Node
    provider: Provider
    as_of: datetime

    def close(self) -> datetime:
        """Close the books now; reports are then asked for as of this instant."""
        self.as_of = closed_instant(self.node.services.database, None, now=self.node.clock())
        return self.as_of

    def report(self, name: ReportName, **asked: object) -> Report:
        """Return a report as of the closed instant, or another one."""
        with self.node.services.database.transaction() as tx:
            return build(tx, self._asked(name, asked))

    def printed(self, name: ReportName, as_format: Format, **asked: object) -> Printed:
        """Return the bytes of the same, with their evidence."""
        return printed(self.node.services.database, self._asked(name, asked), as_format)

    def read_wallet(self) -> None:
        """Read the wallet now."""
        read_wallet(self.node)

    def end(self) -> None:
        """Close every connection."""
        self.node.services.client.close()
        self.node.services.database.close()

    def _asked(self, name: ReportName, asked: dict[str, object]) -> ReportQuery:
        return ReportQuery(report=name, **{"as_of": self.as_of, **asked})  # type: ignore[arg-type]


def read_wallet(node: Node) -> None:
    """Record what the provider says that the wallet holds."""
    balance = node.services.client.credits()
    with node.services.database.transaction() as tx:
        accounts.record_wallet(
            tx,
            reading_id=uuid7(),
            account_id=node.services.account_id,
            balance=balance,
            now=node.clock(),
            asked_at=node.clock(),
        )


def forget_prices(node: Node) -> None:
    """Let the next hold be the list price again: the provider's is, and these books are about other things."""
    node.query("UPDATE model_price SET reserved = 0 RETURNING model")


@pytest.fixture(scope="session")
def world(postgres: str, template: str, process: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Yield a world that all tests share: they only look at it."""
    process.reset()
    with databases.clone(postgres, template) as url:
        made = work(url, tmp_path_factory.mktemp("store"), process.sibling("acct_reports"))
        yield made
        made.end()


@pytest.fixture
def own_world(database_url: str, tmp_path: Path, sandbox: Provider) -> Iterator[World]:
    """Yield a world of the test's own, in which it may go on working."""
    made = work(database_url, tmp_path, sandbox)
    yield made
    made.end()


def work(database_url: str, folder: Path, provider: Provider) -> World:
    """Do two days of work with faults: two batches of two owners, and one job in doubt."""
    node = nodes.make(
        database_url, folder, Clock(), base_url=provider.base_url, key=provider.key, window=timedelta(minutes=5)
    )
    read_wallet(node)
    node.clock.advance(timedelta(hours=1))
    node.submit(*({"key": f"chair-{n}", "prompt": f"Chair {n}"} for n in range(6)), name="chairs", owner="shop")
    provider.script(("create", 1, "fail_generation"), ("create", 2, "overcharge"), ("create", 3, "charge_failed"))
    provider.script(("create", 4, "lost_reply"))
    node.run_for(timedelta(minutes=30))
    node.clock.advance(timedelta(hours=12))
    provider.set(price_delta=1)
    node.submit(*({"key": f"lamp-{n}", "prompt": f"Lamp {n}"} for n in range(3)), name="lamps", owner="studio")
    node.run_for(timedelta(minutes=30))
    provider.set(price_delta=0)
    forget_prices(node)
    read_wallet(node)
    node.submit({"key": "lost", "prompt": "A lost lamp"}, name="doubts", owner="studio")
    provider.script(("create", 1, "lost_reply"))
    provider.set(faults={"create": {"http_503": 1.0}})
    node.run_for(timedelta(minutes=10))
    provider.set(faults={"create": {"http_503": 0.0}})
    node.run_for(timedelta(hours=2))
    read_wallet(node)
    world = World(node=node, provider=provider, as_of=node.clock())
    world.close()
    return world
