"""Who gets the slots of a round, and the places of the window: no owner waits for all of another's work."""

from collections import Counter
from datetime import timedelta

import pytest

from tests.pipeline.node import Node
from worker.engine import dispatch

SOON = timedelta(milliseconds=200)
TURNS = "SELECT class_times, owner_times FROM account"


def batch(node: Node, count: int, **options: object) -> str:
    receipt = node.submit(*({"prompt": str(n)} for n in range(count)), **options)
    return str(receipt.batch_id)


def served(node: Node, *, rounds: int) -> Counter[str]:
    """Count the steps of each owner and class that so many rounds hand out."""
    found: Counter[str] = Counter()
    for _ in range(rounds):
        for ticket in dispatch.run(node.services).tickets:
            who = "SELECT owner || ' ' || priority AS who FROM batch b JOIN job j ON j.batch_id = b.id WHERE j.id = :id"
            found[node.query(who, id=ticket.job_id)[0]["who"]] += 1
        node.clock.advance(SOON)
    return found


def let_all_polls_be_due(node: Node) -> None:
    node.query("UPDATE step SET kind = 'poll', lease_until = NULL, due_at = :now RETURNING 1", now=node.clock())
    node.clock.advance(timedelta(seconds=1))


def test_owners_share_a_pace_of_one_slot_a_round_whatever_they_have_waiting(node: Node) -> None:
    node.limit(rate=5, window=1000)
    for n in range(8):
        batch(node, 20, owner="ann", name=str(n))
    batch(node, 20, owner="bob")

    found = served(node, rounds=20)

    assert found["ann bulk"] == pytest.approx(found["bob bulk"], abs=1)
    assert found.total() >= 20


def test_the_account_remembers_only_owners_with_something_to_do(node: Node) -> None:
    node.limit(rate=5, window=1000)
    batch(node, 1, owner="ann")
    batch(node, 50, owner="bob")

    served(node, rounds=4)

    assert list(node.query(TURNS)[0]["owner_times"]["bulk"]) == ["bob"]


def test_an_interactive_job_does_not_wait_for_polls_of_bulk_jobs(node: Node) -> None:
    node.limit(rate=1000, window=1000)
    batch(node, 200)
    dispatch.run(node.services)
    let_all_polls_be_due(node)
    node.limit(rate=20, window=1000)
    batch(node, 3, owner="ann", priority="interactive")

    first, second = served(node, rounds=1), served(node, rounds=1)

    assert first["ann interactive"] == 3
    assert set(second) == {"nobody bulk"}


def test_polls_of_bulk_jobs_go_on_beside_any_number_of_interactive_jobs(node: Node) -> None:
    node.limit(rate=1000, window=1000)
    batch(node, 200)
    dispatch.run(node.services)
    let_all_polls_be_due(node)
    node.limit(rate=20, window=1000)
    batch(node, 300, owner="ann", priority="interactive")

    found = served(node, rounds=30)

    assert found["nobody bulk"] >= found.total() // 17 - 1
    assert found["ann interactive"] >= found.total() * 15 // 17


def test_bulk_jobs_leave_a_part_of_the_window_to_others(node: Node) -> None:
    node.limit(rate=1000, window=40)
    batch(node, 100)
    full_of_bulk = served(node, rounds=3)
    batch(node, 100, owner="ann", priority="refresh")
    with_refresh = served(node, rounds=3)
    batch(node, 100, owner="ann", priority="interactive")

    with_interactive = served(node, rounds=3)

    assert full_of_bulk == {"nobody bulk": 36}
    assert with_refresh == {"ann refresh": 2}
    assert with_interactive == {"ann interactive": 2}


def test_every_due_step_is_handed_out_when_there_is_a_slot_for_each(node: Node) -> None:
    node.limit(rate=1000, window=1000)
    batch(node, 30)
    dispatch.run(node.services)
    let_all_polls_be_due(node)

    assert len(dispatch.run(node.services).tickets) == 30


def test_as_many_due_steps_are_handed_out_as_there_are_slots(node: Node) -> None:
    node.limit(rate=1000, window=1000)
    batch(node, 200)
    dispatch.run(node.services)
    let_all_polls_be_due(node)
    node.limit(rate=20, window=1000)

    assert len(dispatch.run(node.services).tickets) == 5
