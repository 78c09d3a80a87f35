"""What a cap does to one batch, to the others, and to a node that dies."""

from datetime import timedelta

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.conftest import NodeFor
from tests.pipeline.hooked import Fuse
from tests.pipeline.node import Node
from worker.accounts import control
from worker.batches import control as batches_control
from worker.batches.control import CapTooLow
from worker.engine import dispatch

TWO = ({"prompt": "1"}, {"prompt": "2"})


def test_a_cap_is_not_set_below_what_is_committed(node: Node) -> None:
    receipt = node.submit(*TWO)
    dispatch.run(node.services)

    with pytest.raises(CapTooLow, match="has committed 8 credits already"):
        batches_control.cap_batch(node.services.database, receipt.batch_id, 7, node.author(), approve_above=None)

    assert node.query("SELECT credit_cap FROM batch") == [{"credit_cap": None}]


def test_slots_that_a_batch_at_its_limit_cannot_use_go_to_others(node: Node) -> None:
    node.limit(rate=40.0)
    batches_control.cap_owner(node.services.database, "mia", 0, node.author(), approve_above=None)
    node.submit(*({"prompt": str(n)} for n in range(40)), owner="mia", priority="interactive")
    node.submit(*({"prompt": str(n)} for n in range(40)), owner="tom", priority="bulk")

    tickets = dispatch.run(node.services).tickets

    assert len(tickets) == 10
    assert node.query(
        "SELECT DISTINCT owner FROM batch JOIN job ON batch_id = batch.id WHERE job.state = 'active'"
    ) == [{"owner": "tom"}]


@pytest.mark.parametrize("effects", range(0, 60, 6))
def test_a_node_that_dies_leaks_no_credit_of_a_cap(effects: int, node_for: NodeFor, sandbox: Provider) -> None:
    survivor = node_for()
    batches_control.cap_owner(survivor.services.database, "mia", 9, survivor.author(), approve_above=None)
    survivor.submit(*TWO, {"prompt": "3"}, owner="mia", credit_cap=11)
    sandbox.script(("create", 1, "fail_generation"))
    node_for(listener=Fuse(effects)).run_until_crash()
    survivor.clock.advance(timedelta(minutes=2))

    survivor.run_until_quiet()

    assert sorted(survivor.jobs()) == ["pending", "succeeded", "succeeded"]
    books.check(survivor, sandbox)


def test_an_operators_pause_downloads_what_is_paid_and_begins_nothing(node: Node, sandbox: Provider) -> None:
    node.submit(*TWO, {"prompt": "3"}, credit_cap=8)
    node.run_for(timedelta(seconds=1))
    control.pause(node.services.database, "default", node.author())
    with node.services.database.transaction() as tx:
        tx.exec_driver_sql("UPDATE batch SET credit_cap = NULL")
    node.run_for(timedelta(hours=1))
    while_paused = (node.jobs(), node.pause_reason())

    control.resume(node.services.database, "default", node.author())
    node.run_until_quiet()

    assert while_paused == (["succeeded", "succeeded", "pending"], "operator")
    assert node.jobs() == ["succeeded"] * 3
    books.check_all_done(node, sandbox)


def test_an_operators_pause_takes_the_place_of_one_that_ends_by_itself(node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "1"})
    sandbox.fund(0)
    node.run_for(timedelta(seconds=2))
    control.pause(node.services.database, "default", node.author())
    sandbox.fund(100)

    node.run_for(timedelta(hours=1))

    assert node.pause_reason() == "operator"
    assert node.jobs() == ["pending"]
