"""Owners' months are locked in the order of their names, so that rounds of two accounts never wait in a circle."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.pipeline.node import Node
from worker.batches import control
from worker.core.db.session import Database
from worker.engine import dispatch
from worker.ledger.queries import budgets

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OWNERS = ("cleo", "ann", "bob")
ADD = "INSERT INTO owner_month (owner, month, committed) VALUES (%s, '2026-11-01', 0)"
IS_FREE = "SELECT count(*) FROM (SELECT FROM owner_month WHERE owner = %s FOR UPDATE SKIP LOCKED) free"
IS_WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
LOOKS = 5_000


@pytest.fixture
def other(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database.conninfo) as connection:
        yield connection


@pytest.fixture
def watcher(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        connection.execute("SET lock_timeout = '5s'")
        yield connection


def lock_all(database: Database) -> dict[str, int]:
    with database.transaction() as tx:
        return budgets.lock_left(tx, OWNERS, now=NOW)


def wait_for_a_lock(watcher: psycopg.Connection[Any]) -> None:
    for _ in range(LOOKS):
        if watcher.execute(IS_WAITING).fetchone() != (0,):
            return
    raise AssertionError("nothing waits for a lock")


def test_months_that_exist_are_locked_in_the_order_of_the_owners_names(
    database: Database, other: psycopg.Connection[Any], watcher: psycopg.Connection[Any]
) -> None:
    for owner in OWNERS:
        watcher.execute(ADD, [owner])
    other.execute("SELECT FROM owner_month WHERE owner = 'bob' FOR UPDATE")

    with ThreadPoolExecutor(1) as pool:
        locking: Future[dict[str, int]] = pool.submit(lock_all, database)
        wait_for_a_lock(watcher)
        free = [watcher.execute(IS_FREE, [owner]).fetchone() for owner in ("ann", "cleo")]
        other.rollback()
        locking.result(timeout=20)

    assert free == [(0,), (1,)]


def test_months_that_begin_are_written_in_the_order_of_the_owners_names(
    database: Database, other: psycopg.Connection[Any], watcher: psycopg.Connection[Any]
) -> None:
    other.execute(ADD, ["bob"])

    with ThreadPoolExecutor(1) as pool:
        locking: Future[dict[str, int]] = pool.submit(lock_all, database)
        wait_for_a_lock(watcher)
        # It would wait if the name had been written before the one that the other transaction has.
        watcher.execute(ADD, ["cleo"])
        other.rollback()
        locking.result(timeout=20)

    months = watcher.execute("SELECT owner FROM owner_month ORDER BY owner").fetchall()
    assert months == [("ann",), ("bob",), ("cleo",)]


IS_MONTH_FREE = "SELECT count(*) FROM (SELECT FROM owner_month WHERE month = %s FOR UPDATE SKIP LOCKED) free"


def test_the_months_of_holds_that_come_back_are_locked_in_their_order(
    node: Node, watcher: psycopg.Connection[Any]
) -> None:
    receipt = node.submit(*({"prompt": str(n)} for n in range(6)), owner="mia")
    dispatch.run(node.services)
    node.clock.advance(timedelta(days=10))
    dispatch.run(node.services)
    node.clock.advance(timedelta(seconds=1))
    dispatch.run(node.services)
    database = node.services.database

    with ThreadPoolExecutor(1) as pool, psycopg.connect(database.conninfo) as other:
        other.execute("SELECT FROM owner_month WHERE month = '2020-12-01' FOR UPDATE")
        cancelling = pool.submit(control.cancel, database, receipt.batch_id, now=node.clock())
        wait_for_a_lock(watcher)
        free = [watcher.execute(IS_MONTH_FREE, [month]).fetchone() for month in ("2020-11-01", "2020-12-01")]
        other.rollback()
        effect = cancelling.result(timeout=20)

    assert free == [(0,), (0,)]
    assert (effect.cancelled, effect.draining) == (6, 0)
    assert node.query("SELECT sum(committed)::int AS n, count(*) AS months FROM owner_month") == [{"n": 0, "months": 2}]
