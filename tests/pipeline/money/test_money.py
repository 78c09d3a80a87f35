"""What is booked when the provider charges as expected, otherwise, or not at all."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.hooked import HookedClient
from tests.pipeline.node import Node
from worker.batches import control
from worker.engine.steps.provider_health import LONE_WAITS
from worker.provider.wire import GenerationStatus, GenerationView

CHAIR = {"prompt": "A chair"}


class ChargedForNothing(HookedClient):
    """A provider that says that the credits did not suffice, and has charged all the same."""

    def get(self, provider_id: str) -> GenerationView:
        view = super().get(provider_id)
        return replace(view, status=GenerationStatus.FAILED, error_code="insufficient_credits", result_urls=())


class Priceless(HookedClient):
    """A provider whose answers to creates name no reserved credits, so many times."""

    missing = 1

    def create(self, *, body: bytes, idempotency_key: str) -> GenerationView:
        view = super().create(body=body, idempotency_key=idempotency_key)
        self.missing -= 1
        return replace(view, reserved_credits=None) if self.missing >= 0 else view


@pytest.mark.parametrize("missing", [1, 2, 9])
def test_an_answer_without_its_price_is_asked_for_once_more_with_the_same_key(
    missing: int, node: Node, sandbox: Provider
) -> None:
    """The figure of the replay is booked; without one there either, what was held is, until the final one comes."""
    client = Priceless(base_url=sandbox.base_url, api_key=sandbox.key, now=node.clock)
    client.listener, client.missing = lambda _: None, missing
    node.services = replace(node.services, client=client)
    node.submit(CHAIR)

    node.run_until_quiet()

    creates = node.query("SELECT send, outcome, provider_id FROM call WHERE kind = 'create' ORDER BY id")
    assert [(row["send"], row["outcome"]) for row in creates] == [(1, "ok"), (2, "ok")]
    assert len(sandbox.tasks()) == 1
    assert node.entries() == [("hold", 4), ("reserve", 4), ("settle", 4)]
    books.check_all_done(node, sandbox)


class Odd(HookedClient):
    """A provider whose answers to creates name reserved credits that are no amount."""

    def create(self, *, body: bytes, idempotency_key: str) -> GenerationView:
        view = super().create(body=body, idempotency_key=idempotency_key)
        return replace(view, reserved_credits=None, unusable=("reserved_credits is 4.5",))


def test_answers_without_their_prices_are_no_lost_ones_and_pause_nothing(node: Node, sandbox: Provider) -> None:
    client = Priceless(base_url=sandbox.base_url, api_key=sandbox.key, now=node.clock)
    client.listener, client.missing = lambda _: None, 24
    node.services = replace(node.services, client=client)
    node.submit(*({"prompt": str(n)} for n in range(12)))

    node.run_until_quiet()

    assert node.jobs() == ["succeeded"] * 12
    assert node.query("SELECT resumed_at FROM account") == [{"resumed_at": None}]


def test_a_price_that_is_no_amount_is_booked_as_held_and_asked_for_no_more(node: Node, sandbox: Provider) -> None:
    client = Odd(base_url=sandbox.base_url, api_key=sandbox.key, now=node.clock)
    client.listener = lambda _: None
    node.services = replace(node.services, client=client)
    node.submit(CHAIR, {"prompt": "A table"})

    node.run_until_quiet()

    sends = node.query("SELECT sends FROM generation")
    assert [row["sends"] for row in sends] == [1, 1]
    books.check_all_done(node, sandbox)


def test_a_failed_generation_that_cost_nothing_is_followed_by_one_with_a_new_key(node: Node, sandbox: Provider) -> None:
    node.submit(CHAIR)
    sandbox.script(("create", 1, "fail_generation"))

    node.run_until_quiet()

    assert node.generations() == ["failed", "succeeded"]
    assert len({task["key"] for task in sandbox.tasks()}) == 2
    assert node.entries() == [
        ("hold", 4),
        ("reserve", 4),
        ("release", 4),
        ("hold", 4),
        ("reserve", 4),
        ("settle", 4),
    ]
    books.check_all_done(node, sandbox)


def test_a_job_fails_when_its_attempts_are_used_up(node: Node, sandbox: Provider) -> None:
    node.submit(CHAIR)
    sandbox.set(faults={"create": {"fail_generation": 1.0}})

    node.run_until_quiet()

    assert node.jobs() == ["failed"]
    assert node.failures() == ["generation_failed"]
    assert node.generations() == ["failed"] * (3 + len(LONE_WAITS))
    books.check_all_done(node, sandbox)


@pytest.mark.parametrize("shape", ["object", "null"])
def test_a_failed_generation_that_was_charged_has_no_successor(shape: str, node: Node, sandbox: Provider) -> None:
    node.submit(CHAIR)
    sandbox.set(failed_error=shape)
    sandbox.script(("create", 1, "charge_failed"))

    node.run_until_quiet()

    assert node.jobs() == ["failed"]
    assert node.entries() == [("hold", 4), ("reserve", 4), ("settle", 4)]
    books.check_all_done(node, sandbox)


@pytest.mark.parametrize(
    ("delta", "entries"),
    [
        (2, [("hold", 4), ("reserve", 4), ("top_up", 2), ("settle", 6)]),
        (-1, [("hold", 4), ("reserve", 3), ("trim", 1), ("settle", 3)]),
        (-4, [("hold", 4), ("trim", 4)]),
    ],
)
def test_a_price_that_has_drifted_is_booked_as_answered(
    delta: int, entries: list[tuple[str, int]], node: Node, sandbox: Provider
) -> None:
    node.submit(CHAIR)
    sandbox.set(price_delta=delta)

    node.run_until_quiet()

    assert node.jobs() == ["succeeded"]
    assert node.entries() == entries
    books.check_all_done(node, sandbox)


def test_a_charge_above_the_reserved_figure_is_booked_as_answered(node: Node, sandbox: Provider) -> None:
    node.submit(CHAIR)
    sandbox.script(("create", 1, "overcharge"))

    node.run_until_quiet()

    assert node.entries() == [("hold", 4), ("reserve", 4), ("settle", 4), ("overrun", 1)]
    books.check_all_done(node, sandbox)


def test_no_more_is_committed_than_the_cap_allows(node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "1"}, {"prompt": "2"}, {"prompt": "3"}, credit_cap=11)

    node.run_until_quiet()

    assert node.jobs() == ["succeeded", "succeeded", "pending"]
    assert node.query("SELECT committed FROM batch") == [{"committed": 8}]
    books.check(node, sandbox)


def test_credits_that_come_back_let_a_capped_batch_go_on(node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "1"}, {"prompt": "2"}, credit_cap=8)
    sandbox.script(("create", 1, "fail_generation"), ("create", 2, "fail_generation"))

    node.run_until_quiet()

    assert node.jobs() == ["succeeded", "succeeded"]
    books.check_all_done(node, sandbox)


def test_what_was_not_sent_when_a_batch_is_cancelled_costs_nothing(node: Node, sandbox: Provider) -> None:
    receipt = node.submit({"prompt": "1"}, {"prompt": "2"})

    control.cancel(node.services.database, receipt.batch_id, now=node.clock())
    node.run_until_quiet()

    assert node.jobs() == ["cancelled", "cancelled"]
    assert sandbox.tasks() == []
    books.check_all_done(node, sandbox)


def test_what_was_sent_when_a_batch_is_cancelled_is_downloaded(node: Node, sandbox: Provider) -> None:
    receipt = node.submit(CHAIR)
    node.round()

    control.cancel(node.services.database, receipt.batch_id, now=node.clock())
    node.run_until_quiet()

    assert node.jobs() == ["succeeded"]
    books.check_all_done(node, sandbox)


def test_a_free_failure_after_the_cancellation_leaves_no_job_waiting_for_ever(node: Node, sandbox: Provider) -> None:
    receipt = node.submit(CHAIR)
    sandbox.script(("create", 1, "fail_generation"))
    node.round()

    control.cancel(node.services.database, receipt.batch_id, now=node.clock())
    node.run_until_quiet()

    assert node.jobs() == ["cancelled"]
    books.check_all_done(node, sandbox)


def test_a_job_that_is_retried_gets_a_new_generation(node: Node, sandbox: Provider) -> None:
    receipt = node.submit(CHAIR)
    sandbox.script(("create", 1, "charge_failed"))
    node.run_until_quiet()

    control.retry_failed(node.services.database, receipt.batch_id, node.author(), approve_above=None)
    node.run_until_quiet()

    assert node.jobs() == ["succeeded"]
    assert node.generations() == ["failed", "succeeded"]
    assert books.balance(node, "spent") == 8
    books.check_all_done(node, sandbox)


def test_a_failure_that_was_charged_has_no_successor_whatever_its_code(node: Node, sandbox: Provider) -> None:
    client = ChargedForNothing(base_url=sandbox.base_url, api_key=sandbox.key, now=node.clock)
    client.listener = lambda _: None
    node.services = replace(node.services, client=client)
    node.submit(CHAIR)

    node.run_for(timedelta(minutes=5))

    assert node.jobs() == ["failed"]
    assert len(sandbox.tasks()) == 1
