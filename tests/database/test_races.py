"""Two transactions that meet in the moment between the snapshot of one and its row locks."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from tests.fixtures import stopping
from tests.pipeline.node import Node
from worker import batch_control, dispatch
from worker.db import generations, jobs, steps
from worker.db.steps import Ticket, Work


def claimed(node: Node, ticket: Ticket, *, is_sending: bool) -> Work:
    """Claim the step, and begin to send if so wanted, like the submit step does."""
    with node.services.database.transaction() as tx:
        work = steps.claim(tx, ticket, until=node.clock() + timedelta(seconds=45))
        assert work is not None
        if is_sending:
            generations.begin_send(tx, work.generation_id, body=b"{}", binding=1, now=node.clock())
        return work


def test_a_generation_whose_sending_has_begun_is_never_void(node: Node) -> None:
    """Else the provider charges for something that our books call void, and its id is never recorded."""
    receipt = node.submit({"prompt": "1"})
    ticket = dispatch.run(node.services).tickets[0]
    database = node.services.database

    with (
        ThreadPoolExecutor(1) as pool,
        stopping.stopped(database.conninfo, table="generation", mark="FOR UPDATE") as gate,
    ):
        cancelling = pool.submit(batch_control.cancel, database, receipt.batch_id, now=node.clock())
        gate.wait_for_somebody()
        claimed(node, ticket, is_sending=True)
        gate.open()
        effect = cancelling.result(timeout=20)

    assert node.generations() == ["sending"]
    assert node.entries() == [("hold", 4)]
    assert effect.cancelled == 0


def test_a_job_that_goes_back_in_line_during_a_round_is_seen_by_it_or_by_a_later_one(node: Node) -> None:
    """Else its batch counts as having nothing pending, and is never looked at again."""
    receipt = node.submit({"prompt": "1"})
    work = claimed(node, dispatch.run(node.services).tickets[0], is_sending=False)
    database = node.services.database

    with (
        ThreadPoolExecutor(1) as pool,
        stopping.stopped(database.conninfo, table="batch", mark="has_pending") as gate,
    ):
        looking = pool.submit(dispatch.run, node.services)
        gate.wait_for_somebody()
        with database.transaction() as tx:
            steps.finish(tx, work)
            jobs.give_back(tx, work.job_id, batch_id=receipt.batch_id, now=node.clock())
        gate.open()
        seen = looking.result(timeout=20).tickets
        node.clock.advance(timedelta(seconds=10))
        later = dispatch.run(node.services).tickets

    assert [ticket.job_id for ticket in (*seen, *later)] == [work.job_id]
