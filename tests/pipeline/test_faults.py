"""Every fault of an exchange, at every kind of request: the job still succeeds, and is paid for once."""

import hashlib
from datetime import timedelta

import pytest

from tests.fixtures import pictures
from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.conftest import NodeFor
from tests.pipeline.node import Node
from worker.core.rules.errors import Conflict
from worker.engine import dispatch

BROKEN_EXCHANGES = [
    "lost_reply",
    "reset_before",
    "reset_after",
    "http_400_html",
    "http_500_html",
    "http_500_html_after",
    "http_503",
    "malformed_json",
    "malformed_json_unprocessed",
    "throttle",
    "throttle_bare",
]


@pytest.mark.parametrize("fault", BROKEN_EXCHANGES)
@pytest.mark.parametrize("kind", ["create", "get", "upload"])
def test_a_job_survives_one_broken_exchange_and_is_paid_for_once(
    kind: str, fault: str, node: Node, sandbox: Provider
) -> None:
    pictures.reference(node.folder)
    node.submit({"prompt": "A chair", "reference": "reference.png"})
    sandbox.set(idempotency_compare="raw")
    sandbox.script((kind, 1, fault))

    node.run_until_quiet()

    assert node.jobs() == ["succeeded"]
    assert node.entries() == [("hold", 4), ("reserve", 4), ("settle", 4)]
    assert len(sandbox.tasks()) == 1
    books.check_all_done(node, sandbox)


@pytest.mark.parametrize(
    "fault",
    ["lost_reply", "reset_before", "http_500_html", "http_503", "truncated_download", "malformed_json", "throttle"],
)
def test_an_image_that_did_not_arrive_whole_is_fetched_again(fault: str, node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "A chair"})
    sandbox.script(("download", 1, fault))

    node.run_until_quiet()

    assert node.jobs() == ["succeeded"]
    assert len(sandbox.tasks()) == 1
    books.check_all_done(node, sandbox)


@pytest.mark.parametrize("fault", ["lost_reply", "reset_after", "http_500_html_after", "malformed_json"])
def test_a_lost_answer_is_asked_for_with_the_same_key_and_the_same_bytes(
    fault: str, node: Node, sandbox: Provider
) -> None:
    node.submit({"prompt": "A châir"})
    sandbox.set(idempotency_compare="raw")
    sandbox.script(("create", 1, fault), ("create", 2, fault))

    node.run_until_quiet()

    sent = node.query("SELECT idempotency_key AS key, body, sends FROM generation")
    seen = [(task["key"], task["sha256"]) for task in sandbox.tasks()]
    assert [(row["key"], hashlib.sha256(row["body"]).hexdigest()) for row in sent] == seen
    assert [row["sends"] for row in sent] == [3]


@pytest.mark.parametrize("replay", ["snapshot", "current"])
def test_a_replay_is_taken_as_the_provider_shows_it(replay: str, node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "A chair"})
    sandbox.set(idempotency_replay=replay)
    sandbox.script(("create", 1, "lost_reply"))

    node.run_until_quiet()

    assert node.jobs() == ["succeeded"]
    books.check_all_done(node, sandbox)


def test_a_429_closes_the_key_for_every_node_until_the_time_that_it_names(node_for: NodeFor, sandbox: Provider) -> None:
    first, second = node_for(), node_for()
    first.submit({"prompt": "One"}, {"prompt": "Two"})
    sandbox.set(throttle_retry_after_s=60)
    sandbox.script(("create", 1, "throttle"))
    first.deliver(dispatch.run(first.services).tickets[:1])

    decided = [second.round(), second.round()]

    assert [round_.tickets for round_ in decided] == [(), ()]
    assert decided[0].look_again_at == second.query("SELECT blocked_until FROM account")[0]["blocked_until"]
    second.run_until_quiet()
    books.check_all_done(second, sandbox)


def test_a_429_is_no_attempt(node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "A chair"})
    sandbox.script(("create", 1, "throttle_bare"))

    node.run_for(timedelta(seconds=1))

    assert node.query("SELECT attempts FROM step") == [{"attempts": 0}]


def test_a_429_to_a_replay_is_an_answer_and_the_first_send_stays_without_one(node: Node, sandbox: Provider) -> None:
    sandbox.set(throttle_retry_after_s=600)
    sandbox.script(("create", 1, "lost_reply"), ("create", 2, "throttle"))
    node.submit({"prompt": "A chair"})

    node.run_for(timedelta(minutes=2))

    assert node.query("SELECT sends, answers FROM generation") == [{"sends": 2, "answers": 1}]


def test_a_create_that_met_three_429s_goes_on_with_a_new_key(node: Node, sandbox: Provider) -> None:
    """The provider may remember the refusal under the key."""
    sandbox.script(*(("create", n, "throttle") for n in (1, 2, 3)))
    node.submit({"prompt": "A chair"})

    node.run_until_quiet()

    assert node.query("SELECT sends, state FROM generation ORDER BY id") == [
        {"sends": 3, "state": "void"},
        {"sends": 1, "state": "succeeded"},
    ]
    books.check_all_done(node, sandbox)


def test_a_conflict_on_the_first_send_is_in_doubt_and_keeps_its_hold(node_for: NodeFor, sandbox: Provider) -> None:
    node = node_for(listener=_raise_conflict)
    node.submit({"prompt": "A chair"})

    node.run_until_quiet()

    assert node.jobs() == ["in_doubt"]
    assert node.query("SELECT sends FROM generation") == [{"sends": 1}]
    assert node.entries() == [("hold", 4)]
    books.check(node, sandbox)


def test_a_generation_that_the_provider_does_not_show_yet_is_waited_for(node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "A chair"})
    sandbox.set(not_found_after_create_s=60)
    node.run_for(timedelta(seconds=20))
    before = node.jobs()
    sandbox.set(not_found_after_create_s=0)

    node.run_until_quiet()

    assert before == ["active"]
    assert node.jobs() == ["succeeded"]
    books.check_all_done(node, sandbox)


def test_a_generation_that_stays_unknown_is_in_doubt_with_its_credits_reserved(node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "A chair"})
    sandbox.set(not_found_after_create_s=10**6)

    node.run_until_quiet()

    assert node.jobs() == ["in_doubt"]
    assert node.failures() == ["not_found"]
    assert node.entries() == [("hold", 4), ("reserve", 4)]


def test_a_generation_that_never_ends_is_asked_about_once_a_minute_and_after_a_day_is_in_doubt(
    node: Node, sandbox: Provider
) -> None:
    node.submit({"prompt": "A chair"})
    sandbox.script(("create", 1, "never_ends"))
    node.run_for(timedelta(minutes=20))
    polls = sandbox.tasks()[0]["polls"]
    node.run_for(timedelta(minutes=20))
    polls_when_overdue = sandbox.tasks()[0]["polls"] - polls
    before = node.jobs()
    node.clock.advance(timedelta(days=1))

    node.run_until_quiet()

    assert before == ["active"]
    assert polls_when_overdue == pytest.approx(20, abs=1)
    assert node.jobs() == ["in_doubt"]
    assert node.entries() == [("hold", 4), ("reserve", 4)]
    books.check(node, sandbox)


@pytest.mark.parametrize("fault", ["http_503", "malformed_json"])
def test_a_generation_about_which_nothing_can_be_learned_for_a_day_is_in_doubt(
    fault: str, node: Node, sandbox: Provider
) -> None:
    """Else the last job of a batch is asked about for ever, and its batch never ends."""
    node.submit({"prompt": "A chair"})
    sandbox.set(faults={"get": {fault: 1.0}})
    node.run_for(timedelta(minutes=1))
    node.clock.advance(timedelta(days=2))

    node.run_for(timedelta(hours=1))

    assert node.jobs() == ["in_doubt"]


def test_a_lost_answer_past_the_window_is_in_doubt_and_nothing_more_is_sent(
    node_for: NodeFor, sandbox: Provider
) -> None:
    node = node_for(window=timedelta(minutes=5))
    node.submit({"prompt": "A chair"})
    sandbox.script(("create", 1, "lost_reply"))
    sandbox.set(faults={"create": {"http_503": 1.0}})
    node.run_for(timedelta(minutes=4))
    sandbox.set(faults={"create": {"http_503": 0.0}})
    node.clock.advance(timedelta(minutes=2))

    node.run_until_quiet()

    assert node.jobs() == ["in_doubt"]
    assert node.failures() == ["window_closed"]
    assert node.entries() == [("hold", 4)]
    assert len(sandbox.tasks()) == 1


def test_a_refusal_after_a_lost_answer_keeps_the_hold(node: Node, sandbox: Provider) -> None:
    """The first copy may have created a generation, whatever is said to the second one."""
    node.submit({"prompt": "A chair"})
    sandbox.script(("create", 1, "lost_reply"))
    node.run_for(timedelta(seconds=0.2))
    sandbox.set(idempotency_window_s=0.001, unknown_keys="reject", client_request_id_max=1)

    node.run_until_quiet()

    assert node.jobs() == ["in_doubt"]
    assert node.entries() == [("hold", 4)]


def test_a_conflict_on_a_replay_is_asked_again_for_ten_minutes_and_then_is_in_doubt(
    node_for: NodeFor, sandbox: Provider
) -> None:
    """The first request may still be under way; after ten minutes the key is another's for good."""
    node = node_for(listener=lambda effect: _raise_conflict(effect) if sandbox.tasks() else None)
    node.submit({"prompt": "A chair"})
    sandbox.script(("create", 1, "lost_reply"))

    node.run_for(timedelta(minutes=9))
    early = node.jobs()
    node.run_for(timedelta(minutes=4))

    assert (early, node.jobs()) == (["active"], ["in_doubt"])
    assert node.entries() == [("hold", 4)]


def _raise_conflict(effect: str) -> None:
    if effect == "before create":
        raise Conflict("idempotency_conflict", "used for a different request", 409)
