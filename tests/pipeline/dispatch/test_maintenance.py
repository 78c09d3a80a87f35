"""What is done every so often: once per time however many nodes there are, and never at the cost of the jobs."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.conftest import NodeFor
from tests.pipeline.node import EVERY, START, Node
from worker.engine import dispatch
from worker.node import maintenance
from worker.settings import load

READINGS = "SELECT credits, extract(epoch FROM read_at - :start)::int AS after_s FROM wallet_reading ORDER BY read_at"


@pytest.fixture
def node(node: Node) -> Node:
    """Return a node that does its maintenance."""
    return keeping(node)


def keeping(node: Node, *, wallet_floor: int | None = None) -> Node:
    node.keep(EVERY)
    node.services = replace(node.services, policies=replace(node.services.policies, wallet_floor=wallet_floor))
    return node


def readings(node: Node) -> list[tuple[int, int]]:
    """Return each reading of the wallet: seconds since the start, and credits."""
    return [(row["after_s"], row["credits"]) for row in node.query(READINGS, start=START)]


def test_the_wallet_is_read_at_once_and_then_once_an_interval(node: Node) -> None:
    node.run_for(timedelta(minutes=2, seconds=30))

    assert readings(node) == [(0, 10_000), (60, 10_000), (120, 10_000)]


def test_an_idle_node_looks_again_when_the_next_maintenance_is_due_and_not_before(node: Node) -> None:
    node.round()

    assert [node.round().look_again_at for _ in range(2)] == [START + timedelta(minutes=1)] * 2


def test_a_node_looks_after_every_kind() -> None:
    assert set(maintenance.intervals(load())) == set(maintenance.JOBS)


def test_what_is_due_is_handed_out_once_however_many_nodes_there_are(node: Node, node_for: NodeFor) -> None:
    nodes = [node, node_for(), node_for()]

    handed_out = [kind for each in nodes for kind in dispatch.run(each.services).maintenance]

    assert sorted(handed_out) == sorted(EVERY)


def test_maintenance_whose_message_is_lost_is_due_again_after_its_interval(node: Node) -> None:
    dispatch.run(node.services)
    node.clock.advance(timedelta(minutes=1))

    assert dispatch.run(node.services).maintenance == ("wallet",)


def test_maintenance_that_was_not_done_for_a_week_is_done_once(node: Node) -> None:
    node.round()
    node.clock.advance(timedelta(days=7))

    decided = [node.round().maintenance, node.round().maintenance]

    assert decided == [("reread", "seal", "wallet"), ()]


def test_a_shorter_interval_counts_from_the_start_of_the_node_that_brings_it(node: Node) -> None:
    node.round()

    node.keep(EVERY | {"wallet": timedelta(seconds=10)})

    assert node.round().look_again_at == START + timedelta(seconds=10)


def test_a_reading_counts_what_is_held_and_not_reserved_yet_as_gone(node: Node) -> None:
    node.submit({"prompt": "A chair"})
    tickets = dispatch.run(node.services).tickets

    maintenance.run(node.services, "wallet")

    assert node.query("SELECT wallet_left FROM account") == [{"wallet_left": 9_996}]
    node.deliver(tickets)


def test_with_a_floor_admissions_wait_for_the_first_reading_only(node_for: NodeFor, sandbox: Provider) -> None:
    node = keeping(node_for(), wallet_floor=100)
    sandbox.fund(108)
    node.submit(*({"prompt": str(number)} for number in range(3)))

    node.run_for(timedelta(minutes=3))

    assert node.jobs() == ["succeeded", "succeeded", "pending"]
    assert readings(node)[0] == (0, 108)
    assert sandbox.wallet()["available"] == 100


def test_with_a_floor_a_first_reading_that_fails_is_made_again_soon(node_for: NodeFor, sandbox: Provider) -> None:
    node = keeping(node_for(), wallet_floor=100)
    sandbox.script(("credits", 1, "http_503"))
    node.round()
    node.clock.advance(timedelta(seconds=10))

    node.round()

    assert readings(node) == [(10, 10_000)]


def test_a_throttled_reading_closes_the_key_for_everybody(node: Node, sandbox: Provider) -> None:
    sandbox.script(("credits", 1, "throttle"))

    node.round()

    blocked = node.query("SELECT blocked_until > :now AS is_blocked FROM account", now=node.clock())
    assert blocked == [{"is_blocked": True}]


def test_nothing_is_asked_with_a_key_that_the_provider_refuses(node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "A chair"})
    sandbox.revoke()
    node.run_for(timedelta(seconds=5))
    calls = node.query("SELECT count(*) AS n FROM call WHERE kind = 'credits'")

    maintenance.run(node.services, "wallet")

    assert node.pause_reason() == "api_key_revoked"
    assert node.query("SELECT count(*) AS n FROM call WHERE kind = 'credits'") == calls


def test_the_ledger_is_sealed_every_hour(node: Node) -> None:
    node.round()
    node.submit({"prompt": "A chair"})
    node.run_for(timedelta(minutes=61))

    node.submit({"prompt": "A table"})
    node.run_for(timedelta(hours=2))

    assert node.query("SELECT entries FROM seal ORDER BY id") == [{"entries": 3}, {"entries": 3}]
    assert books.failed_checks(node) == []


def test_a_job_that_only_a_newer_version_knows_is_left_to_its_nodes(node: Node) -> None:
    node.keep({"from a newer version": timedelta(minutes=1)})

    assert "from a newer version" in node.round().maintenance  # it is done here too, without an error
    assert node.query("SELECT error, done_at FROM maintenance WHERE kind = 'from a newer version'") == [
        {"error": None, "done_at": START}
    ]
