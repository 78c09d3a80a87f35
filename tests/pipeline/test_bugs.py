"""Bugs of our own: a step that always crashes ends its job in a named state, and nothing is released on a guess."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.fixtures import models, writing
from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline import node as nodes
from tests.pipeline.node import Node
from worker.batches import control
from worker.batches.queries import overview
from worker.core.rules.models_catalogue import REGISTRY, SelectParam
from worker.core.rules.states import StepKind
from worker.engine import dispatch
from worker.engine.queries import batches, crashes
from worker.engine.rules import give_up
from worker.engine.steps import collect, poll, submit
from worker.engine.steps.perform import attempt

MADE_UP = {"key": "made-up", "prompt": "A chair", "model": "made-up"}
CHAIR = {"key": "chair", "prompt": "A chair"}


class Bug(Exception):
    """Ours."""


def broken(*args: object, **named: object) -> Any:
    raise Bug


@pytest.fixture
def node(node: Node, monkeypatch: pytest.MonkeyPatch) -> Node:
    """Return a node that does its steps as the tasks do."""
    monkeypatch.setattr(nodes, "perform", attempt)
    return node


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """Catch the log: showing hundreds of tracebacks takes a minute."""
    with capture_logs() as lines:
        yield lines


@pytest.fixture
def known(sandbox: Provider) -> Iterator[None]:
    with models.made_up(sandbox):
        yield


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a version that does not know the made-up model, as after a downgrade."""
    monkeypatch.delitem(REGISTRY, "made-up")


@pytest.mark.usefixtures("known")
def test_a_job_of_a_model_that_this_version_does_not_know_fails_after_five_tries_and_frees_its_hold(
    node: Node, sandbox: Provider, logged: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    node.submit(MADE_UP, CHAIR)
    forget(monkeypatch)

    node.run_until_quiet()

    crashes = [line["crashes"] for line in logged if line["event"] == "step.crashed"]
    assert (node.jobs(), node.failures()) == (["failed", "succeeded"], ["internal_error"])
    assert crashes == [1, 2, 3, 4, 5]
    assert node.query("SELECT committed FROM batch") == [{"committed": 4}]
    assert len(sandbox.tasks()) == 1
    books.check_all_done(node, sandbox)


def test_the_hold_of_a_job_that_a_bug_has_ended_frees_the_month_that_it_was_held_in(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.submit(CHAIR)
    tickets = dispatch.run(node.services).tickets
    node.clock.advance(timedelta(days=10))
    monkeypatch.setattr("worker.engine.steps.claiming.build_body", broken)

    node.deliver(tickets)
    node.run_until_quiet()

    assert node.failures() == ["internal_error"]
    assert [row["committed"] for row in node.query("SELECT committed FROM owner_month")] == [0]


@pytest.mark.usefixtures("known")
def test_a_version_that_knows_the_model_takes_the_job_meanwhile(
    node: Node, sandbox: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.submit(MADE_UP)
    with monkeypatch.context() as patch:
        forget(patch)
        node.run_for(timedelta(minutes=2))
        crashes = node.query("SELECT crashes FROM step")

    monkeypatch.setattr(nodes, "perform", attempt)
    node.run_until_quiet()

    assert crashes[0]["crashes"] >= 2
    assert node.jobs() == ["succeeded"]
    books.check_all_done(node, sandbox)


@pytest.mark.usefixtures("known")
def test_a_job_whose_params_have_become_unfit_can_be_retried_when_the_bug_is_fixed(
    node: Node, sandbox: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt = node.submit(MADE_UP)
    narrow = replace(models.MADE_UP, params=(SelectParam(name="paintStyle", default="ink", choices=("ink",)),))
    with monkeypatch.context() as patch:
        patch.setitem(REGISTRY, "made-up", narrow)
        node.run_until_quiet()
    failed = node.failures()

    control.retry_failed(
        node.services.database, receipt.batch_id, node.author(), approve_above=None, code=give_up.CRASHED
    )
    monkeypatch.setattr(nodes, "perform", attempt)
    node.run_until_quiet()

    assert failed == ["internal_error"]
    assert node.jobs() == ["succeeded"]
    books.check_all_done(node, sandbox)


def test_a_job_whose_answer_can_never_be_recorded_is_in_doubt_and_keeps_its_hold(
    node: Node, sandbox: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.submit(CHAIR)
    monkeypatch.setattr(submit, "_accepting", broken)

    node.run_until_quiet()

    assert (node.jobs(), node.failures(), node.generations()) == (["in_doubt"], ["internal_error"], ["in_doubt"])
    assert node.entries() == [("hold", 4)]
    assert len(sandbox.tasks()) == 1
    assert books.failed_checks(node) == []


def test_a_generation_whose_polls_crash_is_polled_ever_more_rarely_and_settled_when_the_bug_is_fixed(
    node: Node, sandbox: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.submit(CHAIR)
    with monkeypatch.context() as patch:
        patch.setattr(poll, "_ask", broken)
        node.run_for(timedelta(hours=12))
        [step] = node.query("SELECT crashes FROM step")
        states = node.jobs()

    monkeypatch.setattr(nodes, "perform", attempt)
    node.run_until_quiet()

    assert states == ["active"]
    assert 20 < step["crashes"] < 200
    assert node.jobs() == ["succeeded"]
    books.check_all_done(node, sandbox)


def test_a_generation_whose_polls_crash_for_a_day_is_in_doubt_with_its_credits_reserved(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.submit(CHAIR)
    monkeypatch.setattr(poll, "_ask", broken)

    node.run_until_quiet()

    assert (node.jobs(), node.failures()) == (["in_doubt"], ["internal_error"])
    assert node.entries() == [("hold", 4), ("reserve", 4)]
    assert books.failed_checks(node) == []


def test_an_image_whose_collecting_crashes_for_a_day_fails_its_job_paid_and_a_retry_collects_it_for_nothing(
    node: Node, sandbox: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt = node.submit(CHAIR)
    with monkeypatch.context() as patch:
        patch.setattr(collect, "inspect_result", broken)
        node.run_until_quiet()
    failed = (node.jobs(), node.failures(), books.balance(node, "spent"))

    control.retry_failed(node.services.database, receipt.batch_id, node.author(), approve_above=None)
    monkeypatch.setattr(nodes, "perform", attempt)
    node.run_until_quiet()

    assert failed == (["failed"], ["internal_error"], 4)
    assert node.jobs() == ["succeeded"]
    assert len(sandbox.tasks()) == 1
    books.check_all_done(node, sandbox)


@pytest.mark.usefixtures("known")
def test_one_job_that_crashes_in_a_group_keeps_no_other_of_the_group_from_being_sent(
    node: Node, sandbox: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.services = writing.together(node.services, collectors=4)
    node.submit(MADE_UP, CHAIR, {"key": "other", "prompt": "Another"})
    forget(monkeypatch)

    node.run_for(timedelta(seconds=20))
    writing.finish(node.services)
    node.services.collectors.drain()

    assert node.jobs() == ["active", "succeeded", "succeeded"]
    assert len(sandbox.tasks()) == 2


@pytest.mark.usefixtures("known")
def test_status_says_what_crashes_and_when_it_is_tried_again(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.submit(MADE_UP)
    forget(monkeypatch)
    node.run_for(timedelta(minutes=2))

    with node.services.database.transaction() as tx:
        obstacle = overview.read(tx, batches.newest(tx, limit=1)[0], now=node.clock()).obstacle
        found = crashes.count(tx, now=node.clock())

    assert obstacle is not None
    assert "internal_error: LookupError in spec_of (worker/core/rules/models_catalogue.py:" in obstacle.reason
    assert (found.steps, found.ended) == (1, 0)


def test_a_message_that_comes_twice_counts_its_crash_once(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.submit(CHAIR)
    monkeypatch.setattr("worker.engine.steps.claiming.build_body", broken)
    node.deliveries = 2

    node.round()

    assert node.query("SELECT crashes FROM step") == [{"crashes": 1}]


def test_a_crash_of_a_step_that_another_worker_has_moved_on_with_changes_nothing(
    node: Node, sandbox: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.submit(CHAIR)
    tickets = dispatch.run(node.services).tickets
    node.deliver(tickets)
    with monkeypatch.context() as patch:
        patch.setattr("worker.engine.steps.submit.claiming.claim", broken)
        node.deliver(tickets)

    monkeypatch.setattr(nodes, "perform", attempt)
    node.run_until_quiet()

    assert node.jobs() == ["succeeded"]
    books.check_all_done(node, sandbox)


@pytest.mark.parametrize("kind", StepKind)
def test_what_may_have_been_created_is_never_void_whatever_crashes(kind: StepKind) -> None:
    verdicts = {
        give_up.crash_verdict(kind, crashes=crashes, is_perhaps_sent=True, age=timedelta(days=days))
        for crashes in (1, give_up.MOST_CRASHES, 1_000)
        for days in (0, 2)
    }

    assert give_up.CrashVerdict.FAIL_UNSENT not in verdicts
