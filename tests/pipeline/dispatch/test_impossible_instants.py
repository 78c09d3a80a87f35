"""Stored instants that cannot be are found, and put right where nothing is lost by it."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.fixtures.provider import Provider
from tests.pipeline.node import EVERY, Node
from worker.audit import sealing
from worker.audit.queries import instants
from worker.audit.verify import verify
from worker.engine.queries import maintenance as maintenance_rows

DAY = timedelta(days=1)
CHAIR = {"prompt": "A chair"}
SERVER_NOW = "SELECT clock_timestamp() AS now"


def own(node: Node, statement: str, **values: object) -> None:
    """Do a statement as the tables' owner, whom no trigger stops."""
    with node.services.database.engine.begin() as tx:
        tx.execute(text("SET LOCAL ROLE NONE"))
        tx.execute(text("SET LOCAL session_replication_role = replica"))
        tx.execute(text(statement), values)


def heal(node: Node) -> set[str]:
    with node.services.database.transaction() as tx:
        found = instants.heal(tx, node.services.account_id, now=node.clock())
    return {f"{each.table}.{each.column}" for each in found}


def broken(node: Node) -> dict[str, int]:
    with node.services.database.transaction() as tx:
        return {check.name: check.broken for check in verify(tx).checks if not check.ok}


def let_the_clock_be_the_servers(node: Node) -> datetime:
    node.clock.now = node.query(SERVER_NOW)[0]["now"]
    return node.clock.now


@pytest.mark.parametrize(
    "column", ["next_slot_at", "throttled_at", "raised_at", "probe_at", "wallet_read_at", "collected_at"]
)
def test_an_instant_of_the_account_that_lies_a_day_ahead_is_put_right(column: str, node: Node) -> None:
    node.query(f"UPDATE account SET {column} = :at RETURNING 1", at=node.clock() + DAY)

    found = heal(node)

    assert found == {f"account.{column}"}
    assert node.query(f"SELECT {column} AS at FROM account") == [{"at": node.clock()}]
    assert heal(node) == set()


def test_jobs_go_on_where_a_node_of_before_left_every_due_time_a_day_ahead(node: Node) -> None:
    node.submit(CHAIR, CHAIR)
    node.round()
    node.keep({"seal": timedelta(hours=1)})
    node.query("UPDATE account SET next_slot_at = :at, read_next_slot_at = :at RETURNING 1", at=node.clock() + DAY)
    node.query("UPDATE step SET due_at = :at, lease_until = :at, since = :at RETURNING 1", at=node.clock() + DAY)
    node.query("UPDATE maintenance SET due_at = :at, last_run_at = :at RETURNING 1", at=node.clock() + DAY)

    found = heal(node)
    began = node.clock()
    node.run_for(timedelta(minutes=10))

    assert {"account.next_slot_at", "step.due_at", "step.lease_until", "maintenance.due_at"} <= found
    assert node.jobs() == ["succeeded", "succeeded"]
    assert node.query("SELECT max(ended_at) AS at FROM job")[0]["at"] < began + timedelta(minutes=5)


def test_maintenance_that_is_due_later_than_its_interval_is_done_at_once(node: Node) -> None:
    node.keep({"seal": timedelta(hours=1)})
    node.query("UPDATE maintenance SET due_at = :at RETURNING 1", at=node.clock() + DAY)

    with node.services.database.transaction() as tx:
        due = maintenance_rows.claim_due(tx, node.services.account_id, now=node.clock())

    assert due.kinds == ("seal",)
    assert due.next_at == node.clock() + timedelta(hours=1)


def test_what_waits_as_long_as_a_wait_lasts_is_left_alone(node: Node) -> None:
    node.submit(CHAIR)
    node.round()
    node.query("UPDATE step SET due_at = :at RETURNING 1", at=node.clock() + timedelta(minutes=10))
    node.query("UPDATE account SET probe_at = :at RETURNING 1", at=node.clock() + timedelta(minutes=10))

    assert heal(node) == set()


def test_a_first_send_that_is_dated_in_the_future_is_not_sent_again(lost_soon: Node) -> None:
    own(lost_soon, "UPDATE generation SET first_sent_at = :at", at=lost_soon.clock() + timedelta(minutes=2))

    lost_soon.run_until_quiet()

    assert lost_soon.jobs() == ["in_doubt"]


@pytest.fixture
def lost_soon(node: Node, sandbox: Provider) -> Node:
    """Return a node with one job whose create has just lost its answer."""
    node.submit(CHAIR)
    sandbox.script(("create", 1, "lost_reply"))
    node.run_for(timedelta(seconds=0.2))
    return node


def test_what_a_node_a_day_ahead_writes_is_dated_by_the_server(node: Node) -> None:
    now = let_the_clock_be_the_servers(node)
    node.clock.advance(DAY)

    node.submit(CHAIR)
    node.run_until_quiet()

    latest = """
        SELECT greatest(max(admitted_at), max(first_sent_at), max(accepted_at), max(ended_at),
            (SELECT max(posted_at) FROM credit_entry), (SELECT max(greatest(started_at, recorded_at)) FROM call),
            (SELECT max(stored_at) FROM result), (SELECT max(ended_at) FROM job)) AS at FROM generation"""
    assert node.jobs() == ["succeeded"]
    assert node.query(latest)[0]["at"] < now + timedelta(minutes=5)


def test_a_seal_of_the_future_is_refused_and_the_right_ones_go_on(node: Node) -> None:
    now = let_the_clock_be_the_servers(node)
    node.submit(CHAIR)
    node.run_until_quiet()

    with pytest.raises(DBAPIError, match="cannot be closed up to"):
        sealing.close_books(node.services.database, now + DAY)

    assert sealing.close_books(node.services.database, now + timedelta(seconds=1)) <= now + timedelta(minutes=5)


def test_books_are_closed_and_jobs_end_under_a_seal_of_tomorrow_which_is_reported(node: Node) -> None:
    now = let_the_clock_be_the_servers(node)
    node.submit(CHAIR)
    node.run_until_quiet()
    own(node, "ALTER TABLE seal DISABLE TRIGGER not_ahead")
    sealing.close_books(node.services.database, now + DAY)
    own(node, "ALTER TABLE seal ENABLE TRIGGER not_ahead")

    node.submit(CHAIR)
    node.run_until_quiet()
    sealing.seal(node.services.database, now=node.clock())
    sealing.close_books(node.services.database, node.clock())

    assert node.jobs() == ["succeeded", "succeeded"]
    assert set(broken(node)) == {"instants"}
    with node.services.database.transaction() as tx:
        assert {each.table for each in instants.at_a_glance(tx)} >= {"seal", "credit_entry"}


def test_verify_names_an_impossible_instant_with_the_next_step(node: Node) -> None:
    let_the_clock_be_the_servers(node)
    node.query("UPDATE account SET next_slot_at = :at RETURNING 1", at=node.clock() + DAY)

    with node.services.database.transaction() as tx:
        [check] = [check for check in verify(tx).checks if not check.ok]

    assert (check.name, check.broken) == ("instants", 1)
    assert check.examples[0]["column"] == "next_slot_at"
    assert "a running node puts it right" in check.examples[0]["next_step"]


@pytest.mark.parametrize("step", [DAY, -DAY, 400 * DAY, timedelta(minutes=10), -timedelta(minutes=10)])
def test_jobs_are_processed_when_the_databases_own_clock_is_stepped(step: timedelta, node: Node) -> None:
    node.keep(EVERY)
    node.submit(CHAIR, CHAIR, CHAIR)
    node.round()
    node.services.latencies.share(node.services.database, node.clock())

    node.clock.advance(step)
    heal(node)
    node.run_for(timedelta(minutes=20))

    assert node.jobs() == ["succeeded"] * 3
    assert node.services.latencies.share(node.services.database, node.clock())
    assert set(broken(node)) == set()
