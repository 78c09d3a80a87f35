"""Two transactions that meet in the moment between the snapshot of one and its row locks."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tests.fixtures import stopping
from tests.pipeline.node import Node
from worker.batches import control, deadlines
from worker.core.db.statements import StaleFence
from worker.core.rules.errors import AccountPaused, PauseReason
from worker.engine import dispatch
from worker.engine.queries import generations, steps
from worker.engine.queries.jobs import Requeue
from worker.engine.queries.step_moves import Finish
from worker.engine.queries.steps import Claim, Ticket, Work
from worker.engine.steps import outcomes, transitions
from worker.engine.steps.transitions import Transition


def claimed(node: Node, ticket: Ticket, *, is_sending: bool) -> Work:
    """Claim the step, and begin to send if so wanted, like the submit step does."""
    with node.services.database.transaction() as tx:
        wanted = [Claim(ticket=ticket, until=node.clock() + timedelta(seconds=45))]
        [work] = steps.claim(tx, wanted, account_id=node.services.account_id)
        assert work is not None
        if is_sending:
            generations.begin_send(tx, {work.generation_id: b"{}"}, binding=1, now=node.clock())
        return work


def test_a_generation_whose_sending_has_begun_is_never_void(node: Node) -> None:
    """Else the provider charges for something that our books call void, and its id is never recorded."""
    receipt = node.submit({"prompt": "1"})
    ticket = dispatch.run(node.services).tickets[0]
    database = node.services.database

    with (
        ThreadPoolExecutor(1) as pool,
        stopping.stopped(database.conninfo, table="generation", mark="FOR UPDATE OF s, g") as gate,
    ):
        cancelling = pool.submit(control.cancel, database, receipt.batch_id, now=node.clock())
        gate.wait_until_reached()
        claimed(node, ticket, is_sending=True)
        gate.open()
        effect = cancelling.result(timeout=20)

    assert node.generations() == ["sending"]
    assert node.entries() == [("hold", 4)]
    assert effect.cancelled == 0


def test_a_job_that_goes_back_in_line_during_a_round_is_seen_by_it_or_by_a_later_one(node: Node) -> None:
    """Else its batch counts as having nothing pending, and is never looked at again."""
    node.submit({"prompt": "1"})
    work = claimed(node, dispatch.run(node.services).tickets[0], is_sending=False)
    database = node.services.database

    with (
        ThreadPoolExecutor(1) as pool,
        stopping.stopped(database.conninfo, table="batch", mark="has_pending") as gate,
    ):
        looking = pool.submit(dispatch.run, node.services)
        gate.wait_until_reached()
        with database.transaction() as tx:
            transitions.apply(tx, node.services, [Transition(work=work, step=Finish(), job=Requeue())])
        gate.open()
        seen = looking.result(timeout=20).tickets
        node.clock.advance(timedelta(seconds=10))
        later = dispatch.run(node.services).tickets

    assert [ticket.job_id for ticket in (*seen, *later)] == [work.job_id]


def past_its_deadline(node: Node, *requests: Mapping[str, object]) -> None:
    """Enqueue a batch whose deadline is now."""
    receipt = node.submit(*requests)
    by = node.author()
    deadlines.change(node.services.database, receipt.batch_id, node.clock() + timedelta(seconds=1), by)


def test_a_generation_whose_sending_begins_at_the_deadline_is_never_void(node: Node) -> None:
    """Else the provider charges for something that our books call void."""
    past_its_deadline(node, {"prompt": "1"})
    ticket = dispatch.run(node.services).tickets[0]
    node.clock.advance(timedelta(seconds=1))
    database, account_id = node.services.database, node.services.account_id

    with (
        ThreadPoolExecutor(1) as pool,
        stopping.stopped(database.conninfo, table="generation", mark="FOR UPDATE OF s, g") as gate,
    ):
        ending = pool.submit(deadlines.end_passed, database, account_id, now=node.clock())
        gate.wait_until_reached()
        claimed(node, ticket, is_sending=True)
        gate.open()
        ended = ending.result(timeout=20)

    assert node.generations() == ["sending"]
    assert node.entries() == [("hold", 4)]
    assert (ended.failed, ended.doubted) == (0, 0)


def test_a_claim_that_comes_after_the_deadline_has_ended_its_job_claims_nothing(node: Node) -> None:
    past_its_deadline(node, {"prompt": "1"})
    ticket = dispatch.run(node.services).tickets[0]
    node.clock.advance(timedelta(seconds=1))
    database = node.services.database

    deadlines.end_passed(database, node.services.account_id, now=node.clock())
    with database.transaction() as tx:
        wanted = [Claim(ticket=ticket, until=node.clock() + timedelta(seconds=45))]
        found = steps.claim(tx, wanted, account_id=node.services.account_id)

    assert found == [None]
    assert node.entries() == [("hold", 4), ("void", 4)]


def test_two_that_look_after_deadlines_at_once_end_each_job_once(node: Node) -> None:
    past_its_deadline(node, *({"prompt": str(number)} for number in range(60)))
    begun = len(dispatch.run(node.services).tickets)
    node.clock.advance(timedelta(seconds=1))
    database, account_id = node.services.database, node.services.account_id
    barrier = threading.Barrier(2)

    def end(_: int) -> int:
        barrier.wait(timeout=10)
        return deadlines.end_passed(database, account_id, now=node.clock()).failed

    with ThreadPoolExecutor(2) as pool:
        failed = list(pool.map(end, range(2)))

    assert sum(failed) == 60
    assert node.jobs() == ["failed"] * 60
    assert node.entries().count(("void", 4)) == begun > 0
    assert node.query("SELECT committed FROM batch") == [{"committed": 0}]


def test_a_worker_of_an_earlier_attempt_does_not_move_the_step_of_a_later_one_whose_fence_is_the_same(
    node: Node,
) -> None:
    node.submit({"prompt": "1"})
    services = node.services
    earlier = claimed(node, dispatch.run(services).tickets[0], is_sending=False)
    with services.database.transaction() as tx:
        requeued = outcomes.void_and_requeue(earlier, AccountPaused(PauseReason.OPERATOR))
        transitions.apply(tx, services, [requeued])
    node.clock.advance(timedelta(seconds=1))
    later = claimed(node, dispatch.run(services).tickets[0], is_sending=False)
    node.query("UPDATE step SET fence = :fence RETURNING fence", fence=earlier.fence)

    postponed = outcomes.postpone(earlier, due_at=node.clock() + timedelta(days=1))
    with pytest.raises(StaleFence), services.database.transaction() as tx:
        transitions.apply(tx, services, [postponed])

    assert earlier.job_id == later.job_id
    assert earlier.generation_id != later.generation_id
    assert node.query("SELECT due_at > :now AS is_later FROM step", now=node.clock()) == [{"is_later": False}]


def test_a_message_of_an_earlier_attempt_is_stale_for_a_later_one_of_the_same_job(node: Node) -> None:
    """Else a message that was long on its way would send before its slot, in place of the right one."""
    node.submit({"prompt": "1"})
    services = node.services
    late = dispatch.run(services).tickets[0]
    with services.database.transaction() as tx:
        requeued = outcomes.void_and_requeue(claimed(node, late, is_sending=False), AccountPaused(PauseReason.OPERATOR))
        transitions.apply(tx, services, [requeued])
    node.clock.advance(timedelta(seconds=1))
    right = dispatch.run(services).tickets[0]

    with services.database.transaction() as tx:
        claims = [Claim(ticket=late, until=node.clock() + timedelta(seconds=45))]
        assert steps.claim(tx, claims, account_id=services.account_id) == [None]

    assert late.job_id == right.job_id
    assert claimed(node, right, is_sending=False).job_id == right.job_id
