"""Reads with a pace of their own: polls take no slot from creates, and a closed key is closed for both."""

from datetime import timedelta

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.node import Node
from worker.accounts.queries import account_limits, accounts
from worker.engine import dispatch
from worker.node import maintenance

PACES = "SELECT rate, next_slot_at, read_next_slot_at, blocked_until FROM account"


@pytest.fixture
def split(node: Node) -> Node:
    """Return a node with 4 requests a second, and 20 reads beside them."""
    with node.services.database.transaction() as tx:
        accounts.configure(tx, node.services.account_id, rate=4.0, max_in_flight=100, now=node.clock())
        account_limits.set_read_rate(tx, node.services.account_id, 20.0)
    return node


def make_polls_due(node: Node, count: int) -> None:
    """Let so many generations be at the provider, all of them to be asked about now."""
    node.submit(*({"prompt": str(n)} for n in range(count)))
    while node.generations().count("accepted") < count:
        node.deliver(dispatch.run(node.services).tickets)
        node.query("UPDATE step SET due_at = due_at + interval '1 day' WHERE kind = 'poll' RETURNING 1")
        node.clock.advance(timedelta(seconds=0.25))
    node.query("UPDATE step SET due_at = :now RETURNING 1", now=node.clock())


def test_each_kind_of_request_has_the_slots_of_its_own_pace(split: Node, sandbox: Provider) -> None:
    make_polls_due(split, 20)
    split.submit(*({"prompt": f"later {n}"} for n in range(20)))
    split.clock.advance(timedelta(seconds=1))

    tickets = dispatch.run(split.services).tickets

    kinds = [ticket.kind.value for ticket in tickets]
    assert (kinds.count("submit"), kinds.count("poll")) == (1, 5)
    assert [t.not_before for t in tickets] == sorted(t.not_before for t in tickets)


def test_a_batch_ends_the_same_with_two_paces(split: Node, sandbox: Provider) -> None:
    split.submit(*({"prompt": str(n)} for n in range(12)))

    split.run_until_quiet()

    assert split.jobs() == ["succeeded"] * 12
    books.check_all_done(split, sandbox)


@pytest.mark.parametrize("on", ["create", "get"])
def test_a_429_to_either_closes_the_key_for_both(on: str, split: Node, sandbox: Provider) -> None:
    make_polls_due(split, 5)
    split.submit({"prompt": "later"})
    sandbox.script((on, 1, "throttle"))
    split.round()

    while_closed = dispatch.run(split.services).tickets

    assert while_closed == ()
    assert split.query(PACES)[0]["blocked_until"] > split.clock()


def test_only_the_pace_of_the_other_requests_is_learned(split: Node, sandbox: Provider) -> None:
    split.limit(rate=None)
    split.submit(*({"prompt": str(n)} for n in range(60)))

    split.run_until_quiet()

    assert split.query("SELECT read_rate FROM account") == [{"read_rate": 20.0}]
    assert split.query(PACES)[0]["rate"] > 10


def test_a_reading_of_the_wallet_takes_a_slot_for_a_read(split: Node, sandbox: Provider) -> None:
    before = split.query(PACES)[0]

    maintenance.run(split.services, "wallet")

    after = split.query(PACES)[0]
    assert after["next_slot_at"] == before["next_slot_at"]
    assert after["read_next_slot_at"] > split.clock()


def test_scarce_reads_are_shared_by_turns_of_their_own(split: Node, sandbox: Provider) -> None:
    make_polls_due(split, 20)
    split.clock.advance(timedelta(seconds=1))
    before = split.query("SELECT class_times FROM account")

    dispatch.run(split.services)

    assert split.query("SELECT (read_class_times ->> 'bulk')::float AS had FROM account") == [{"had": 5.0}]
    assert split.query("SELECT class_times FROM account") == before
