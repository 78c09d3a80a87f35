import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.pipeline.node import Node
from worker import dispatch
from worker.db import accounts, steps
from worker.db.steps import StaleFence, Ticket
from worker.domain.step import QUEUED_LEASE, StepKind

LEASE = timedelta(seconds=30)
STEP = "SELECT kind, due_at, lease_until, fence, attempts FROM step ORDER BY job_id"


@pytest.fixture
def ticket(node: Node) -> Ticket:
    node.submit({"prompt": "1"})
    return dispatch.run(node.services).tickets[0]


def test_a_ticket_can_be_claimed_once(node: Node, ticket: Ticket) -> None:
    until = node.clock() + LEASE

    with node.services.database.transaction() as tx:
        first, second = steps.claim(tx, ticket, until=until), steps.claim(tx, ticket, until=until)

    assert first is not None
    assert second is None


def test_of_two_workers_that_claim_at_once_one_gets_the_step(node: Node, ticket: Ticket) -> None:
    barrier = threading.Barrier(2)

    def claim(_: int) -> bool:
        barrier.wait(timeout=10)
        with node.services.database.transaction() as tx:
            return steps.claim(tx, ticket, until=node.clock() + LEASE) is not None

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(claim, range(2)))

    assert sorted(found) == [False, True]


@pytest.mark.parametrize("change", [{"fence": 0}, {"fence": 2}, {"kind": StepKind.POLL}])
def test_a_ticket_of_another_fence_or_kind_claims_nothing(change: dict[str, int], node: Node, ticket: Ticket) -> None:
    before = node.query(STEP)

    with node.services.database.transaction() as tx:
        claimed = steps.claim(tx, replace(ticket, **change), until=node.clock() + LEASE)  # type: ignore[arg-type]

    assert claimed is None
    assert node.query(STEP) == before


def test_who_has_lost_the_step_changes_nothing(node: Node, ticket: Ticket) -> None:
    with node.services.database.transaction() as tx:
        lost = steps.claim(tx, ticket, until=node.clock() + LEASE)
    node.clock.advance(timedelta(minutes=1))
    dispatch.run(node.services)
    before = node.query(STEP)

    assert lost is not None
    now = node.clock()
    with pytest.raises(StaleFence), node.services.database.transaction() as tx:
        steps.again(tx, lost, due_at=now)
    with pytest.raises(StaleFence), node.services.database.transaction() as tx:
        steps.advance(tx, lost, StepKind.POLL, due_at=now, now=now)
    with pytest.raises(StaleFence), node.services.database.transaction() as tx:
        steps.finish(tx, lost)
    assert node.query(STEP) == before


def test_a_leased_step_is_not_handed_out_again_before_its_lease_ends(node: Node, ticket: Ticket) -> None:
    node.clock.advance(QUEUED_LEASE - timedelta(milliseconds=1))
    early = dispatch.run(node.services).tickets
    node.clock.advance(timedelta(milliseconds=1))

    late = dispatch.run(node.services).tickets

    assert early == ()
    assert [t.job_id for t in late] == [ticket.job_id]
    assert late[0].fence > ticket.fence


def test_dispatchers_at_the_same_instant_never_hand_out_the_same_step(node: Node) -> None:
    node.submit(*({"prompt": str(n)} for n in range(60)))
    with node.services.database.transaction() as tx:
        accounts.configure(tx, node.services.account_id, rate=1000.0, max_in_flight=100, now=node.clock())
    barrier = threading.Barrier(4)

    def rounds(_: int) -> list[Ticket]:
        barrier.wait(timeout=10)
        return [ticket for _ in range(10) for ticket in dispatch.run(node.services).tickets]

    with ThreadPoolExecutor(4) as pool:
        tickets = [ticket for found in pool.map(rounds, range(4)) for ticket in found]

    assert len(tickets) == 60
    assert len({ticket.job_id for ticket in tickets}) == 60
    assert len({ticket.not_before for ticket in tickets}) == 60


def test_no_more_jobs_are_open_than_the_window_allows(node: Node) -> None:
    node.submit(*({"prompt": str(n)} for n in range(20)))
    with node.services.database.transaction() as tx:
        accounts.configure(tx, node.services.account_id, rate=1000.0, max_in_flight=7, now=node.clock())

    dispatch.run(node.services)
    dispatch.run(node.services)

    assert node.jobs().count("active") == 7
