import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.pipeline.node import Node
from worker.accounts.queries import accounts
from worker.core.db.statements import StaleFence
from worker.core.rules.states import QUEUED_LEASE, StepKind
from worker.engine import dispatch
from worker.engine.queries import step_moves, steps
from worker.engine.queries.step_moves import Advance, Finish, Postpone
from worker.engine.queries.steps import Claim, Ticket, Work
from worker.engine.steps import transitions
from worker.engine.steps.transitions import Transition

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
        wanted = [Claim(ticket=ticket, until=until) for ticket in tickets]
        return steps.claim(tx, wanted, account_id=node.services.account_id)


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
    moves = (Postpone(due_at=now, attempts=0), Advance(kind=StepKind.POLL, since=now, due_at=now), Finish())
    for move in moves:
        with pytest.raises(StaleFence), node.services.database.transaction() as tx:
            transitions.apply(tx, node.services, [Transition(work=lost, step=move)])
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
    node.limit(rate=1000.0)
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
    node.limit(rate=1000.0, window=7)

    dispatch.run(node.services)
    dispatch.run(node.services)

    assert node.jobs().count("active") == 7


def test_a_step_is_not_claimed_for_another_account(node: Node, ticket: Ticket) -> None:
    with node.services.database.transaction() as tx:
        other = accounts.ensure(tx, account_id=node.services.new_id(), name="another", now=node.clock())
        found = steps.claim(tx, [Claim(ticket=ticket, until=node.clock() + LEASE)], account_id=other)

    assert found == [None]
    assert claimed(node, ticket) != [None]


def test_a_step_that_is_given_back_is_handed_out_again_under_another_fence(node: Node, ticket: Ticket) -> None:
    again_at = node.clock() + timedelta(seconds=1)

    with node.services.database.transaction() as tx:
        step_moves.give_back(tx, [ticket, replace(ticket, fence=9)], due_at=again_at)

    assert dispatch.run(node.services).tickets == ()
    node.clock.now = again_at
    [again] = dispatch.run(node.services).tickets
    assert again.fence > ticket.fence
    assert claimed(node, ticket) == [None]
