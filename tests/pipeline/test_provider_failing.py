"""A provider that fails every generation pauses the account: no job fails for it, and one job at a time probes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.conftest import NodeFor
from tests.pipeline.node import Node
from worker.db import accounts

FAILING = {"faults": {"create": {"fail_generation": 1.0}}}
WELL = {"faults": {"create": {"fail_generation": 0.0}}}


def prompts(count: int) -> list[dict[str, object]]:
    return [{"prompt": f"Chair {n}"} for n in range(count)]


def set_rate(node: Node, rate: float) -> None:
    with node.services.database.transaction() as tx:
        accounts.configure(tx, node.services.account_id, rate=rate, max_in_flight=100, now=node.clock())


@pytest.fixture
def node(node_for: NodeFor) -> Node:
    """Give a node that opens few generations at a provider that has not proved to work, as real nodes do."""
    node = node_for()
    policies = replace(node.services.policies, unproved_window=12)
    node.services = replace(node.services, policies=policies)
    return node


def with_attempts(node: Node, attempts: int) -> Node:
    policies = replace(node.services.policies, max_attempts=attempts)
    node.services = replace(node.services, policies=policies)
    return node


@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize("rate", [2.0, 50.0])
def test_ten_minutes_of_nothing_but_failures_fail_no_job(
    rate: float, attempts: int, node: Node, sandbox: Provider
) -> None:
    with_attempts(node, attempts)
    set_rate(node, rate)
    node.submit(*prompts(120))
    sandbox.set(**FAILING)
    node.run_for(timedelta(minutes=10))
    during = (node.pause_reason(), node.jobs().count("failed"))
    failed = len(sandbox.tasks())
    books.check(node, sandbox)
    sandbox.set(**WELL)

    node.run_until_quiet()

    assert during == ("provider_failing", 0)
    assert failed < 30
    assert node.jobs() == ["succeeded"] * 120
    assert node.query("SELECT DISTINCT failures FROM job") == [{"failures": 0}]
    books.check_all_done(node, sandbox)


@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize("rate", [2.0, 50.0])
def test_an_outage_in_the_middle_of_a_batch_fails_no_job(
    rate: float, attempts: int, node: Node, sandbox: Provider
) -> None:
    with_attempts(node, attempts)
    set_rate(node, rate)
    node.submit(*prompts(300))
    node.run_for(timedelta(seconds=8))
    begun = len(sandbox.tasks())
    sandbox.set(**FAILING)
    node.run_for(timedelta(minutes=10))
    failed = node.generations().count("failed")
    sandbox.set(**WELL)

    node.run_until_quiet()

    assert begun > 5
    assert failed < 100 + 10
    assert node.jobs() == ["succeeded"] * 300
    books.check_all_done(node, sandbox)


@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize("count", [3, 5])
def test_a_small_batch_survives_an_outage(count: int, attempts: int, node: Node, sandbox: Provider) -> None:
    with_attempts(node, attempts)
    node.submit(*prompts(count))
    sandbox.set(**FAILING)
    node.run_for(timedelta(minutes=10))
    failed = node.generations().count("failed")
    sandbox.set(**WELL)

    node.run_until_quiet()

    assert failed < 30
    assert node.jobs() == ["succeeded"] * count
    books.check_all_done(node, sandbox)


@pytest.mark.parametrize(
    "code",
    [
        {"moderated_prompts": "nude"},
        {"failing_prompts": "nude"},
    ],
)
def test_a_batch_with_one_bad_prompt_in_five_does_not_pause_the_account(
    code: dict[str, object], node_for: NodeFor, sandbox: Provider
) -> None:
    paused: list[str | None] = []
    node = node_for(listener=lambda _: None)
    sandbox.set(**code)
    node.submit(*({"prompt": f"{'A nude' if n * 7 % 5 == 0 else 'Chair'} {n}"} for n in range(300)))

    for _ in range(400):
        node.run_for(timedelta(seconds=1))
        paused.append(node.pause_reason())

    assert set(paused) == {None}
    assert node.jobs().count("failed") == 60
    assert node.jobs().count("succeeded") == 240
    books.check_all_done(node, sandbox)
