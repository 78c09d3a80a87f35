"""A provider that refuses every create pauses the account: no job fails for it, and one job at a time probes."""

import random
from datetime import timedelta

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.conftest import NodeFor
from tests.pipeline.node import Node
from tests.pipeline.test_provider_failing import obstacle, prompts, set_rate, unproved

REFUSING = {"refused_prompts": "Chair"}
WELL = {"refused_prompts": ""}


def refused(node: Node) -> int:
    """Count the creates that were refused."""
    return int(node.query("SELECT count(*) AS n FROM call WHERE kind = 'create' AND outcome = 'refused'")[0]["n"])


@pytest.fixture
def node(node_for: NodeFor) -> Node:
    """Return a node that opens few generations at a provider that has not proved to work, as real nodes do."""
    return unproved(node_for())


@pytest.mark.parametrize("rate", [2.0, 50.0])
def test_ten_minutes_of_nothing_but_refusals_fail_no_job(rate: float, node: Node, sandbox: Provider) -> None:
    set_rate(node, rate)
    node.submit(*prompts(120))
    sandbox.set(**REFUSING)
    node.run_for(timedelta(minutes=10))
    during = (node.pause_reason(), node.jobs().count("failed"), refused(node))
    words = obstacle(node)
    sandbox.set(**WELL)

    node.run_until_quiet()

    assert during[:2] == ("provider_failing", 0)
    assert during[2] < 30
    assert words is not None
    assert "prompts were refused since" in words.reason
    assert "last with validation_failed" in words.reason
    assert node.jobs() == ["succeeded"] * 120
    assert node.query("SELECT DISTINCT failures FROM job") == [{"failures": 0}]
    books.check_all_done(node, sandbox)


@pytest.mark.parametrize("rate", [2.0, 50.0])
def test_refusals_that_begin_in_the_middle_of_a_batch_fail_no_job(rate: float, node: Node, sandbox: Provider) -> None:
    set_rate(node, rate)
    node.submit(*prompts(300))
    node.run_for(timedelta(seconds=8))
    sandbox.set(**REFUSING)
    node.run_for(timedelta(minutes=10))
    during = (node.jobs().count("failed"), refused(node))
    sandbox.set(**WELL)

    node.run_until_quiet()

    assert during[0] == 0
    assert during[1] < 30
    assert node.jobs() == ["succeeded"] * 300
    books.check_all_done(node, sandbox)


@pytest.mark.parametrize(("status", "code"), [(403, "not_permitted"), (404, "not_found"), (422, "rules_changed")])
def test_other_codes_of_refusals_pause_the_account_too(status: int, code: str, node: Node, sandbox: Provider) -> None:
    node.submit(*prompts(60))
    sandbox.set(refused_status=status, refused_code=code, **REFUSING)
    node.run_for(timedelta(minutes=10))
    during = (node.pause_reason() is not None, node.jobs().count("failed"))
    sandbox.set(**WELL)

    node.run_until_quiet()

    assert during == (True, 0)
    assert node.jobs() == ["succeeded"] * 60
    books.check_all_done(node, sandbox)


@pytest.mark.parametrize("rate", [5.0, 50.0])
def test_a_batch_with_one_refused_prompt_in_five_does_not_pause_the_account(
    rate: float, node: Node, sandbox: Provider
) -> None:
    set_rate(node, rate)
    sandbox.set(refused_prompts="odd", latency_median_s=6)
    lines = ["An odd"] * 40 + ["Chair"] * 160
    random.Random(9).shuffle(lines)
    node.submit(*({"prompt": f"{line} {n}"} for n, line in enumerate(lines)))
    paused: set[str | None] = set()

    for _ in range(200):
        node.run_for(timedelta(seconds=1))
        sandbox.advance(1)
        paused.add(node.pause_reason())

    assert paused == {None}
    assert node.jobs().count("failed") == 40
    assert node.jobs().count("succeeded") == 160
    assert refused(node) <= 40 + 3
    books.check_all_done(node, sandbox)


def test_a_batch_whose_every_line_is_refused_for_good_ends_line_by_line_after_a_day(
    node: Node, sandbox: Provider
) -> None:
    node.submit(*prompts(12))
    sandbox.set(**REFUSING)
    node.run_for(timedelta(hours=23))
    before = node.jobs().count("failed")

    node.run_for(timedelta(hours=6))

    assert before == 0
    assert node.jobs() == ["failed"] * 12
    assert set(node.failures()) == {"validation_failed"}
    books.check_all_done(node, sandbox)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_small_batch_survives_refusals_of_ten_minutes(count: int, node: Node, sandbox: Provider) -> None:
    node.submit(*prompts(count))
    sandbox.set(**REFUSING)
    node.run_for(timedelta(minutes=10))
    sandbox.set(**WELL)

    node.run_until_quiet()

    assert node.jobs() == ["succeeded"] * count
    books.check_all_done(node, sandbox)
