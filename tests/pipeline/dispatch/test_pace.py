"""The pace of an account as its nodes keep it: raised by answers, closed by any 429, shared through one row."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.conftest import NodeFor
from tests.pipeline.node import Node
from worker.accounts.queries import account_limits
from worker.engine import checks, dispatch

SECOND = timedelta(seconds=1)
MANY = [{"prompt": str(n)} for n in range(100)]


def follow_setting(node: Node, rate: float) -> None:
    with node.services.database.transaction() as tx:
        account_limits.follow_settings(tx, node.services.account_id, rate=rate, max_in_flight=100, now=node.clock())


def account(node: Node, column: str) -> float:
    found: float = node.query(f"SELECT {column} AS value FROM account")[0]["value"]
    return found


def instant(node: Node, column: str) -> datetime:
    found: datetime = node.query(f"SELECT {column} AS value FROM account")[0]["value"]
    return found


def hand_out_for(node: Node, span: timedelta) -> None:
    """Let a dispatcher hand out work that no thread comes to do."""
    end = node.clock() + span
    while node.clock() < end:
        dispatch.run(node.services)
        node.clock.advance(timedelta(milliseconds=100))


def test_a_learned_rate_rises_with_what_is_answered(node: Node) -> None:
    node.submit(*MANY)

    node.run_for(2.5 * SECOND)

    assert account(node, "rate") > 30


def test_a_learned_rate_does_not_rise_with_what_is_only_handed_out(node: Node) -> None:
    node.submit(*MANY)

    hand_out_for(node, 5 * SECOND)

    assert account(node, "rate") == 10


def test_two_nodes_raise_a_rate_as_one_does(node_for: NodeFor) -> None:
    first, second = node_for(), node_for()
    first.submit(*MANY)
    first.run_for(1.5 * SECOND)

    second.round()
    first.round()

    assert account(first, "rate") == pytest.approx(20, rel=0.1)


@pytest.mark.parametrize("change", [lambda node, rate: node.limit(rate=rate), follow_setting])
def test_after_a_crawl_a_new_rate_is_in_force_at_once(node: Node, change: Callable[[Node, float], None]) -> None:
    node.submit(*MANY)
    node.limit(rate=0.01)
    node.round()

    change(node, 20.0)

    assert instant(node, "next_slot_at") <= node.clock() + timedelta(seconds=0.05)


def test_at_a_low_rate_pending_jobs_take_every_slot(node: Node) -> None:
    node.limit(rate=2.0)
    node.submit(*MANY)

    node.run_for(10 * SECOND)

    asked = node.query("SELECT count(*) AS n FROM call WHERE kind <> 'download'")[0]["n"]
    assert asked == pytest.approx(20, abs=1)


def test_requests_are_scarce_also_at_a_low_rate(node: Node) -> None:
    node.limit(rate=2.0)
    node.submit(*MANY)

    node.run_for(10 * SECOND)

    assert account(node, "saturation") > 0.8


def test_requests_are_as_scarce_to_a_node_as_to_all_others(node_for: NodeFor) -> None:
    busy, new = node_for(), node_for()
    busy.limit(rate=2.0)
    busy.submit(*MANY)
    busy.run_for(10 * SECOND)
    shared = account(busy, "saturation")

    dispatch.run(new.services)

    assert new.services.latencies.saturation == shared


def test_a_saturation_is_over_when_there_is_nothing_to_do(node: Node, sandbox: Provider) -> None:
    node.submit(*MANY)
    node.run_until_quiet()

    node.run_for(60 * SECOND)

    assert account(node, "saturation") == 0
    books.check_all_done(node, sandbox)


def test_a_429_to_a_later_try_to_collect_closes_the_key_for_every_worker(node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "A chair"})
    sandbox.set(throttle_retry_after_s=60)
    sandbox.script(("download", 1, "http_503"), ("get", 2, "throttle"))

    node.run_for(10 * SECOND)

    assert instant(node, "blocked_until") > node.clock() + 45 * SECOND
    node.run_until_quiet()
    books.check_all_done(node, sandbox)


def paused(node: Node, sandbox: Provider) -> Node:
    """Return a node whose account has no credits."""
    node.submit({"prompt": "A chair"})
    sandbox.fund(0)
    node.run_for(SECOND)
    assert node.pause_reason() == "insufficient_credits"
    return node


def test_a_429_to_a_probe_closes_the_key_for_every_worker(node: Node, sandbox: Provider) -> None:
    paused(node, sandbox)
    sandbox.set(throttle_retry_after_s=60)
    sandbox.script(("credits", 1, "throttle"))

    checks.check_account(node.services)

    assert instant(node, "blocked_until") == node.clock() + 60 * SECOND


def test_a_probe_takes_a_slot_of_the_pace(node: Node, sandbox: Provider) -> None:
    paused(node, sandbox)
    node.clock.advance(SECOND)

    checks.check_account(node.services)

    assert instant(node, "next_slot_at") == node.clock() + SECOND / account(node, "rate")


def test_no_probe_is_sent_while_the_key_is_closed(node: Node, sandbox: Provider) -> None:
    paused(node, sandbox)
    node.query("UPDATE account SET blocked_until = :until RETURNING 1", until=node.clock() + SECOND)
    before = sandbox.books()["requests"].get("credits")

    checks.check_account(node.services)

    assert sandbox.books()["requests"].get("credits") == before


def refused_creates(sandbox: Provider) -> int:
    """Count the 429s to creates, of all accounts that the sandbox has."""
    refused: int = sandbox.books()["requests"].get("create", {}).get("429", 0)
    return refused


def test_a_provider_that_refuses_and_names_no_wait_is_asked_ever_more_rarely(node: Node, sandbox: Provider) -> None:
    node.submit(*MANY)
    sandbox.set(throttle_retry_after_s=0)
    sandbox.script(*[("create", nth, "throttle") for nth in range(1, 31)])

    before = refused_creates(sandbox)

    node.run_for(60 * SECOND)

    assert refused_creates(sandbox) - before < 20


def test_a_wait_of_days_is_believed_for_a_quarter_of_an_hour_and_then_probed(node: Node, sandbox: Provider) -> None:
    node.submit(*MANY[:5])
    sandbox.set(throttle_retry_after_s=999_999)
    sandbox.script(("create", 1, "throttle"), ("create", 2, "throttle"))
    dispatched = dispatch.run(node.services).tickets[:1]
    node.deliver(dispatched)
    closed_until = instant(node, "blocked_until")
    node.clock.advance(timedelta(minutes=15))

    probing = dispatch.run(node.services).tickets
    node.deliver(probing)

    assert closed_until == node.clock() == instant(node, "closed_at") + timedelta(minutes=15)
    assert len(probing) == 1
    assert instant(node, "blocked_until") == node.clock() + timedelta(minutes=15)
    node.run_until_quiet()
    books.check_all_done(node, sandbox)


def test_no_create_is_sent_while_the_provider_says_that_none_remains(node: Node, sandbox: Provider) -> None:
    sandbox.set(rate_limit=1, rate_window_s=600, rate_headers=True, rate_per_endpoint=True)
    node.submit(*MANY[:3])
    before = refused_creates(sandbox)

    node.run_for(20 * SECOND)

    assert instant(node, "blocked_until") > node.clock()
    assert (len(sandbox.tasks()), refused_creates(sandbox)) == (1, before)
