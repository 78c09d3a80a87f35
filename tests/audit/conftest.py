"""A ledger of a few entries, and a superuser who can write past every trigger."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tests.fixtures import databases
from tests.pipeline import node as nodes
from tests.pipeline.node import Clock, Node
from worker.audit import sealing
from worker.audit.rules import seal as chain
from worker.audit.verify import verify
from worker.engine import dispatch

Tamper = Callable[..., None]

CLOSED = {"seals", "sealed_entries", "rollup", "seal_totals", "books_closed"}
"""The proofs that these tests are about; the corrections here are not those of a person, so that others do not hold."""

POST = """
    INSERT INTO credit_entry (batch_id, generation_id, kind, source, target, credits, actor, reason, posted_at)
    SELECT batch_id, generation_id, 'correct', 'cap', 'held', 1, 'Ada', 'tab:\t end:\n back:\\ ünï', :posted_at
    FROM credit_entry LIMIT 1 RETURNING id, posted_at"""


@pytest.fixture
def node(database_url: str, tmp_path: Path) -> Iterator[Node]:
    """Yield a ledger of three holds and a correction, entries 1 to 4."""
    made = nodes.make(database_url, tmp_path, Clock(), base_url="http://127.0.0.1:9", key="rvya_sk_none")
    made.submit(*({"prompt": str(number)} for number in range(3)))
    dispatch.run(made.services)
    post(made, made.clock())
    yield made
    made.services.database.close()


@pytest.fixture
def superuser(database_url: str) -> Iterator[Engine]:
    with databases.owner(database_url) as engine:
        yield engine


@pytest.fixture
def tamper(superuser: Engine) -> Tamper:
    """Do what only a superuser can: write past every trigger."""

    def do(statement: str, **values: object) -> None:
        with superuser.begin() as tx:
            tx.execute(text("SET LOCAL session_replication_role = replica"))
            assert tx.execute(text(statement), values).rowcount > 0

    return do


def post(node: Node, posted_at: datetime) -> tuple[int, datetime]:
    """Post a correction as of an instant; gives its id and the instant that it was given."""
    row = node.query(POST, posted_at=posted_at)[0]
    return row["id"], row["posted_at"]


def seal(node: Node) -> chain.Seal:
    """Seal the ledger as of the node's clock; gives the newest seal."""
    newest = sealing.seal(node.services.database, now=node.clock())
    assert newest is not None
    return newest


def broken(node: Node) -> dict[str, tuple[Any, ...]]:
    """Return the examples of each proof of the closed books that does not hold."""
    with node.services.database.engine.connect() as tx:
        return {check.name: check.examples for check in verify(tx).checks if not check.ok and check.name in CLOSED}
