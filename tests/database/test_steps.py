import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.pipeline.node import Node
from worker.accounts.queries import accounts
from worker.core.db.statements import StaleFence
from worker.core.rules.step import QUEUED_LEASE, StepKind
from worker.engine import dispatch
from worker.engine.queries import step_moves, steps
from worker.engine.queries.steps import Claim, Ticket, Work

LEASE = timedelta(seconds=30)
STEP = "SELECT kind, due_at, lease_until, fence, attempts FROM step ORDER BY job_id"


@pytest.fixture
def ticket(node: Node) -> Ticket:
    node.submit({"prompt": "1"})
    return dispatch.run(node.services).tickets[0]


def claimed(node: Node, *tickets: Ticket) -> list[Work | None]:
    """Claim the steps of tickets with one statement."""
    until = node.clock() + LEASE
    with node.services.database.transaction() as tx:
        return steps.claim(tx, [Claim(ticket=ticket, until=until) for ticket in tickets])


def test_a_ticket_can_be_claimed_once(node: Node, ticket: Ticket) -> None:
    first, second = claimed(node, ticket), claimed(node, ticket)

    assert first != [None]
    assert second == [None]


def test_of_two_claims_with_one_ticket_in_one_statement_one_gets_the_step(node: Node, ticket: Ticket) -> None:
    stale = replace(ticket, fence=ticket.fence - 1)

    found = claimed(node, stale, ticket, ticket)

    assert found[0] is None
    assert found[1:].count(None) == 1


def test_each_claim_of_a_statement_gets_its_own_step(node: Node) -> None:
    node.submit(*({"key": str(n), "prompt": str(n)} for n in range(7)))
    tickets = dispatch.run(node.services).tickets

    found = claimed(node, *reversed(tickets))

    assert [work and work.job_id for work in found] == [ticket.job_id for ticket in reversed(tickets)]


def test_of_two_workers_that_claim_at_once_one_gets_the_step(node: Node, ticket: Ticket) -> None:
    barrier = threading.Barrier(2)

    def claim(_: int) -> bool:
        barrier.wait(timeout=10)
        return claimed(node, ticket) != [None]

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(claim, range(2)))

    assert sorted(found) == [False, True]


@pytest.mark.parametrize("change", [{"fence": 0}, {"fence": 2}, {"kind": StepKind.POLL}])
def test_a_ticket_of_another_fence_or_kind_claims_nothing(change: dict[str, int], node: Node, ticket: Ticket) -> None:
    before = node.query(STEP)

    found = claimed(node, replace(ticket, **change))  # type: ignore[arg-type]

    assert found == [None]
    assert node.query(STEP) == before


def test_who_has_lost_the_step_changes_nothing(node: Node, ticket: Ticket) -> None:
    [lost] = claimed(node, ticket)
    node.clock.advance(timedelta(minutes=1))
    dispatch.run(node.services)
    before = node.query(STEP)

    assert lost is not None
    now = node.clock()
    with pytest.raises(StaleFence), node.services.database.transaction() as tx:
        step_moves.postpone(tx, lost, due_at=now)
    with pytest.raises(StaleFence), node.services.database.transaction() as tx:
        step_moves.advance(tx, lost, StepKind.POLL, due_at=now, now=now)
    with pytest.raises(StaleFence), node.services.database.transaction() as tx:
        step_moves.finish(tx, lost)
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
