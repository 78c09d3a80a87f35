"""An account that cannot pay or may not call: everything waits, nothing fails, and nothing is asked too often."""

from datetime import timedelta

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.conftest import NodeFor
from tests.pipeline.node import Node

THREE = ({"prompt": "1"}, {"prompt": "2"}, {"prompt": "3"})


@pytest.mark.parametrize(
    "switches",
    [
        {"no_credits": "http_error", "no_credits_status": 402},
        {"no_credits": "http_error", "no_credits_status": 400},
        {"no_credits": "http_error", "no_credits_status": 403},
        {"no_credits": "http_error", "no_credits_status": 409},
        {"no_credits": "failed_at_create"},
        {"no_credits": "failed_at_poll"},
        {"no_credits": "failed_at_poll", "no_credits_reserved": True},
    ],
)
def test_an_empty_wallet_lets_the_jobs_wait_and_a_top_up_lets_them_go_on(
    switches: dict[str, object], node: Node, sandbox: Provider
) -> None:
    node.submit(*THREE)
    sandbox.set(**switches)
    sandbox.fund(4)
    node.run_for(timedelta(minutes=2))
    while_empty = (node.jobs().count("pending"), node.pause_reason(), books.balance(node, "held"))
    books.check(node, sandbox)
    sandbox.fund(100)

    node.run_until_quiet()

    assert while_empty == (2, "insufficient_credits", 0)
    assert node.jobs() == ["succeeded"] * 3
    assert node.pause_reason() is None
    books.check_all_done(node, sandbox)


def test_a_revoked_key_lets_the_jobs_wait_until_it_is_good_again(node: Node, sandbox: Provider) -> None:
    node.submit(*THREE)
    node.round()
    sandbox.revoke()
    node.run_for(timedelta(minutes=2))
    while_revoked = (set(node.jobs()), node.pause_reason())
    sandbox.revoke(is_revoked=False)

    node.run_until_quiet()

    assert while_revoked == ({"active"}, "api_key_revoked")
    assert node.jobs() == ["succeeded"] * 3
    books.check_all_done(node, sandbox)


def test_a_disabled_api_lets_the_jobs_wait_until_it_is_back(node: Node, sandbox: Provider) -> None:
    node.submit(*THREE)
    sandbox.disable()
    node.run_for(timedelta(minutes=2))
    while_disabled = (set(node.jobs()), node.pause_reason(), books.balance(node, "held"))
    sandbox.disable(is_disabled=False)

    node.run_until_quiet()

    assert while_disabled == ({"pending"}, "public_api_disabled", 0)
    assert node.jobs() == ["succeeded"] * 3
    books.check_all_done(node, sandbox)


def test_a_lost_answer_before_the_pause_keeps_its_hold_and_its_key(node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "1"})
    sandbox.script(("create", 1, "lost_reply"))
    node.run_for(timedelta(seconds=0.2))
    sandbox.revoke()
    node.run_for(timedelta(minutes=2))
    while_revoked = (node.jobs(), node.entries())
    sandbox.revoke(is_revoked=False)

    node.run_until_quiet()

    assert while_revoked == (["active"], [("hold", 4)])
    assert node.generations() == ["succeeded"]
    books.check_all_done(node, sandbox)


def test_a_paused_account_is_looked_at_ever_more_rarely(node_for: NodeFor, sandbox: Provider) -> None:
    calls: list[str] = []
    node = node_for(listener=calls.append)
    node.submit({"prompt": "1"})
    sandbox.fund(0)

    node.run_for(timedelta(hours=3))

    assert 15 <= calls.count("before credits") <= 40


def test_a_key_that_may_read_but_not_create_is_tried_ever_more_rarely(node_for: NodeFor, sandbox: Provider) -> None:
    """The balance can be read, and says nothing about the scope that is missing: only a create could tell."""
    calls: list[str] = []
    node = node_for(listener=calls.append)
    node.submit({"prompt": "1"})
    sandbox.permit("credits:read", "generations:read")

    node.run_for(timedelta(minutes=20))

    assert node.jobs() == ["pending"]
    assert calls.count("before create") <= 20


def test_a_price_above_the_balance_is_not_asked_for_over_and_over(node_for: NodeFor, sandbox: Provider) -> None:
    """The price that we know has drifted: the balance seems to do, and the provider refuses all the same."""
    calls: list[str] = []
    node = node_for(listener=calls.append)
    node.submit({"prompt": "1"})
    sandbox.set(price_delta=1)
    sandbox.fund(4)

    node.run_for(timedelta(minutes=20))

    assert node.jobs() == ["pending"]
    assert calls.count("before create") <= 20


def test_a_paused_account_costs_next_to_no_transactions(node_for: NodeFor, sandbox: Provider) -> None:
    calls: list[str] = []
    node = node_for(listener=calls.append)
    node.submit({"prompt": "1"})
    sandbox.script(("create", 1, "lost_reply"))
    node.run_for(timedelta(seconds=0.2))
    sandbox.revoke()
    node.run_for(timedelta(minutes=1))
    calls.clear()

    node.run_for(timedelta(minutes=10))

    assert calls.count("after commit") <= 300
