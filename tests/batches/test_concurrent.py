"""Caps are exact under any number of dispatchers: never a credit over, and never refusing what is left."""

from datetime import timedelta

import pytest

from tests.batches import crew
from tests.batches.crew import SharedClock
from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.conftest import NodeFor
from tests.pipeline.node import START, Node
from worker.batches import control

SPENT = "SELECT count(*) AS jobs FROM job WHERE state = 'succeeded'"
COMMITTED = "SELECT committed FROM owner_month"


@pytest.fixture
def clock() -> SharedClock:
    return SharedClock(START)


@pytest.fixture
def four(node_for: NodeFor) -> list[Node]:
    """Return four nodes whose account is quick and has a wide window."""
    nodes = [node_for() for _ in range(4)]
    nodes[0].limit(rate=2000.0, window=200)
    return nodes


def prompts(count: int) -> list[dict[str, object]]:
    return [{"prompt": str(number)} for number in range(count)]


def test_two_thousand_jobs_under_a_cap_of_4001_spend_4000_and_say_why_they_wait(
    four: list[Node], sandbox: Provider
) -> None:
    receipt = four[0].submit(*prompts(2000), credit_cap=4001)

    crew.work(four)
    at_cap = four[0].overview()
    control.cap_batch(four[0].services.database, receipt.batch_id, 4041, four[0].author(), approve_above=None)
    crew.work(four)

    assert (at_cap.spent, at_cap.held, at_cap.reserved) == (4000, 0, 0)
    assert at_cap.state == "waiting"
    assert at_cap.obstacle is not None
    assert at_cap.obstacle.reason == "credit cap reached"
    assert four[0].overview().spent == 4040
    books.check(four[0], sandbox)


def test_an_owners_month_is_exact_over_two_batches(four: list[Node], sandbox: Provider) -> None:
    control.cap_owner(four[0].services.database, "mia", 101, four[0].author(), approve_above=None)
    four[0].submit(*prompts(20), owner="mia")
    four[0].submit(*prompts(20), owner="mia")

    crew.work(four)

    assert four[0].query(SPENT) == [{"jobs": 25}]
    assert four[0].query(COMMITTED) == [{"committed": 100}]
    obstacle = four[0].overview().obstacle
    assert obstacle is not None
    assert obstacle.reason == "monthly cap of mia reached"
    books.check(four[0], sandbox)


def test_the_next_month_has_its_own_credits(four: list[Node], sandbox: Provider) -> None:
    control.cap_owner(four[0].services.database, "mia", 8, four[0].author(), approve_above=None)
    four[0].submit(*prompts(5), owner="mia")
    crew.work(four)
    before = four[0].query(SPENT)

    four[0].clock.advance(timedelta(days=10))
    crew.work(four)

    assert before == [{"jobs": 2}]
    assert four[0].query(SPENT) == [{"jobs": 4}]
    books.check(four[0], sandbox)


def test_released_credits_are_used_again_to_the_last_one(four: list[Node], sandbox: Provider) -> None:
    sandbox.set(faults={"create": {"fail_generation": 0.3}})
    control.cap_owner(four[0].services.database, "mia", 80, four[0].author(), approve_above=None)
    four[0].submit(*prompts(60), owner="mia", credit_cap=62)
    four[0].submit(*prompts(60), owner="mia", credit_cap=62)

    crew.work(four)

    assert four[0].query(SPENT) == [{"jobs": 20}]
    books.check(four[0], sandbox)
