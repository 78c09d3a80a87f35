"""An owner's month is that of the hold: what comes back or is added later belongs to the month that it was held in."""

from collections.abc import Callable
from datetime import date, timedelta
from functools import partial

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.money.test_correct import put_right
from tests.pipeline.money.test_resolve import charged, not_charged
from tests.pipeline.node import Node
from worker.audit.resolve import Resolution
from worker.core.rules.errors import ContentRefused
from worker.engine import dispatch
from worker.engine.queries.steps import Ticket

MONTHS = "SELECT month, committed FROM owner_month ORDER BY month"
NOVEMBER = date(2020, 11, 1)


@pytest.fixture
def held(node: Node) -> tuple[Ticket, ...]:
    """Hold credits in November, and give the tickets in December."""
    node.submit({"prompt": "A chair"}, owner="mia")
    tickets = dispatch.run(node.services).tickets
    node.clock.advance(timedelta(days=10))
    return tickets


def refuse(effect: str) -> None:
    if effect == "before create":
        raise ContentRefused("content_policy_violation", "no such chair", 400)


def test_a_hold_that_comes_back_in_the_next_month_frees_the_month_that_it_was_held_in(
    held: tuple[Ticket, ...], node: Node, sandbox: Provider
) -> None:
    node.services.client.listener = refuse  # type: ignore[attr-defined]

    node.deliver(held)

    assert node.entries() == [("hold", 4), ("void", 4)]
    assert node.query(MONTHS) == [{"month": NOVEMBER, "committed": 0}]
    books.check_all_done(node, sandbox)


def test_what_a_drifted_price_adds_in_the_next_month_counts_for_the_month_of_the_hold(
    held: tuple[Ticket, ...], node: Node, sandbox: Provider
) -> None:
    sandbox.set(price_delta=2)

    node.deliver(held)
    node.run_until_quiet()

    assert node.query(MONTHS) == [{"month": NOVEMBER, "committed": 6}]
    books.check_all_done(node, sandbox)


@pytest.mark.parametrize("decide", [not_charged, partial(charged, 1)])
def test_a_doubt_that_is_resolved_in_the_next_month_counts_for_the_month_of_the_hold(
    decide: Callable[[Node], Resolution], lost: Node
) -> None:
    lost.clock.advance(timedelta(days=10))

    decide(lost)

    spent = lost.query("SELECT committed FROM batch")[0]["committed"]
    assert lost.query(MONTHS) == [{"month": NOVEMBER, "committed": spent}]
    assert books.failed_checks(lost) == []


def test_a_correction_in_the_next_month_counts_for_the_month_of_the_hold(node: Node) -> None:
    node.submit({"prompt": "A chair"}, owner="mia")
    node.run_until_quiet()
    node.clock.advance(timedelta(days=10))

    put_right(node, 1)

    assert node.query(MONTHS) == [{"month": NOVEMBER, "committed": 1}]
    assert books.failed_checks(node) == []
