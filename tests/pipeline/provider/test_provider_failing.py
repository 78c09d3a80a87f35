"""A provider that fails every generation pauses the account: no job fails for it, and one job at a time probes."""

import random
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from tests.batches import crew
from tests.batches.crew import SharedClock
from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.conftest import NodeFor
from tests.pipeline.node import START, Node
from worker.accounts import control

FAILING = {"faults": {"create": {"fail_generation": 1.0}}}
WELL = {"faults": {"create": {"fail_generation": 0.0}}}


def prompts(count: int) -> list[dict[str, object]]:
    return [{"prompt": f"Chair {n}"} for n in range(count)]


SENT = """
    WITH outage AS (SELECT min(ended_at) AS seen_at FROM generation WHERE state = 'failed')
    SELECT count(*) FILTER (WHERE first_sent_at > seen_at) AS after,
           count(*) FILTER (WHERE first_sent_at <= seen_at AND state = 'failed') AS before
    FROM generation, outage"""
"""Creates that were sent after the first failure was seen, and those that failed and were sent before."""


def in_step(node: Node, sandbox: Provider, *, seconds: int) -> None:
    """Let the node work while the provider's clock moves with the node's."""
    for _ in range(4 * seconds):
        before = node.clock.now
        node.run_for(timedelta(seconds=0.25))
        sandbox.advance((node.clock.now - before).total_seconds())


@pytest.fixture
def node(node_for: NodeFor) -> Node:
    """Return a node that opens few generations at a provider that has not proved to work, as real nodes do."""
    return unproved(node_for())


def unproved(node: Node) -> Node:
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
    node.limit(rate=rate)
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
    node.limit(rate=rate)
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


@pytest.mark.parametrize("rate", [2.0, 50.0])
def test_an_outage_in_the_middle_of_a_batch_fails_few_creates_that_were_sent_after_it_was_seen(
    rate: float, node: Node, sandbox: Provider
) -> None:
    """What is open then was sent by a node that could not know of it; at R = 2 that is little, too."""
    node.limit(rate=rate)
    node.submit(*prompts(600))
    sandbox.set(latency_median_s=3.0)
    in_step(node, sandbox, seconds=8)
    sandbox.set(**FAILING)
    in_step(node, sandbox, seconds=40)

    [seen] = node.query(SENT)

    assert (node.pause_reason(), node.jobs().count("failed")) == ("provider_failing", 0)
    assert seen["after"] < 30
    assert seen["after"] + seen["before"] < (30 if rate == 2.0 else 100 + 30)


@pytest.mark.parametrize(("score", "most_open"), [("score", 12), ("create_score", 60)])
def test_few_generations_are_open_while_they_fail_in_a_row_but_not_while_creates_are_refused(
    score: str, most_open: int, node: Node, sandbox: Provider
) -> None:
    node.limit(rate=50.0)
    node.submit(*prompts(1))
    node.run_until_quiet()
    sandbox.set(latency_median_s=600)
    node.query(f"UPDATE provider_health SET {score} = 3.3 RETURNING 1")
    node.submit(*prompts(60))

    node.run_for(timedelta(seconds=2))

    assert node.generations().count("accepted") == most_open


@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize(
    "lines",
    [*map(prompts, (1, 2, 3, 5)), [{"prompt": "The same chair"}] * 40],
    ids=["1", "2", "3", "5", "40 of one prompt"],
)
def test_a_small_batch_survives_an_outage(
    lines: list[dict[str, object]], attempts: int, node: Node, sandbox: Provider
) -> None:
    with_attempts(node, attempts)
    node.submit(*lines)
    sandbox.set(**FAILING)
    node.run_for(timedelta(minutes=10))
    failed = node.generations().count("failed")
    sandbox.set(**WELL)

    node.run_until_quiet()

    assert failed < 30
    assert node.jobs() == ["succeeded"] * len(lines)
    books.check_all_done(node, sandbox)


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_bad_prompt_alone_ends_its_job_after_eleven_minutes_and_three_further_tries(
    attempts: int, node: Node, sandbox: Provider
) -> None:
    with_attempts(node, attempts)
    sandbox.set(failing_prompts="curse")
    node.submit({"prompt": "A cursed chair"})

    node.run_for(timedelta(minutes=10))
    before = node.jobs()
    node.run_for(timedelta(minutes=4))

    assert (before, node.jobs(), node.pause_reason()) == (["active"], ["failed"], None)
    assert len(sandbox.tasks()) == attempts + 3
    books.check_all_done(node, sandbox)


def test_a_bad_prompt_ends_its_job_after_one_more_try_when_another_prompt_succeeds_meanwhile(
    node: Node, sandbox: Provider
) -> None:
    sandbox.set(failing_prompts="curse")
    node.submit({"prompt": "A cursed chair"})
    node.run_for(timedelta(minutes=1))
    before = node.jobs()

    node.submit({"prompt": "A chair"})
    node.run_for(timedelta(minutes=1, seconds=30))

    assert (before, node.jobs()) == (["active"], ["failed", "succeeded"])
    assert len(sandbox.tasks()) <= 3 + 2 + 1
    books.check_all_done(node, sandbox)


def test_a_job_that_failed_alone_is_tried_again_when_another_prompt_succeeds_later(
    node: Node, sandbox: Provider
) -> None:
    """That the provider works by then does not say that it did when the job failed."""
    with_attempts(node, 1)
    sandbox.set(**FAILING)
    node.submit({"prompt": "A chair"})
    node.run_for(timedelta(seconds=90))
    sandbox.set(**WELL)

    node.submit({"prompt": "A table"})
    node.run_for(timedelta(minutes=1))

    assert node.jobs() == ["succeeded"] * 2
    books.check_all_done(node, sandbox)


@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize("bad", [{"moderated_prompts": "nude"}, {"failing_prompts": "nude"}])
def test_a_batch_with_one_bad_prompt_in_five_does_not_pause_the_account(
    bad: dict[str, object], attempts: int, node: Node, sandbox: Provider
) -> None:
    with_attempts(node, attempts)
    sandbox.set(**bad)
    lines = ["A nude"] * 60 + ["Chair"] * 240
    random.Random(9).shuffle(lines)
    node.submit(*({"prompt": f"{line} {n}"} for n, line in enumerate(lines)))
    paused: set[str | None] = set()

    for _ in range(400):
        node.run_for(timedelta(seconds=1))
        paused.add(node.pause_reason())

    assert paused == {None}
    assert node.jobs().count("failed") == 60
    assert node.jobs().count("succeeded") == 240
    books.check_all_done(node, sandbox)


def test_failures_of_one_prompt_pause_nothing_however_often_it_is_asked_for(node: Node, sandbox: Provider) -> None:
    sandbox.set(failing_prompts="curse")
    node.submit(*[{"prompt": "A cursed chair"}] * 30)

    node.run_until_quiet()

    assert node.pause_reason() is None
    assert set(node.jobs()) == {"failed"}
    books.check_all_done(node, sandbox)


def test_failures_that_cost_credits_pause_the_account_too_and_are_not_paid_for_again(
    node: Node, sandbox: Provider
) -> None:
    """An attempt that was charged is not repeated by itself: the job ends, and nothing more is spent on the outage."""
    node.submit(*prompts(60))
    sandbox.set(faults={"create": {"charge_failed": 1.0}})
    node.run_for(timedelta(minutes=10))
    during = (node.pause_reason(), len(sandbox.tasks()))
    sandbox.set(faults={"create": {"charge_failed": 0.0}})

    node.run_until_quiet()

    assert during[0] == "provider_failing"
    assert during[1] < 30
    assert node.jobs().count("failed") == during[1]
    assert len(sandbox.tasks()) == 60
    books.check_all_done(node, sandbox)


def test_prompts_that_failed_in_the_outage_are_not_held_for_bad(node: Node, sandbox: Provider) -> None:
    sandbox.set(**FAILING)
    node.submit(*prompts(12))
    node.run_for(timedelta(hours=3))

    assert node.query("SELECT count(*) AS known FROM prompt_failure") == [{"known": 0}]
    assert node.jobs().count("failed") == 0


def test_a_bad_prompt_at_the_head_of_the_line_does_not_keep_the_account_paused(node: Node, sandbox: Provider) -> None:
    sandbox.set(**FAILING)
    node.submit({"prompt": "A cursed chair"}, *prompts(20))
    node.run_for(timedelta(minutes=10))
    sandbox.set(failing_prompts="curse", **WELL)

    node.run_until_quiet()

    assert node.pause_reason() is None
    assert node.jobs() == ["failed"] + ["succeeded"] * 20


def test_canaries_are_sent_one_at_a_time_with_growing_waits(node: Node, sandbox: Provider) -> None:
    node.submit(*prompts(60))
    sandbox.set(**FAILING)
    node.run_for(timedelta(hours=6))

    rows = node.query("SELECT first_sent_at, ended_at FROM generation WHERE sends > 0 ORDER BY first_sent_at")
    canaries = rows[-30:]
    gaps = [b["first_sent_at"] - a["ended_at"] for a, b in pairwise(canaries)]

    assert min(gaps) > timedelta(minutes=4)
    assert len(rows) < 80


def test_status_says_since_when_how_many_failed_what_was_given_back_and_when_the_next_canary_is(
    node: Node, sandbox: Provider
) -> None:
    node.submit(*prompts(60))
    sandbox.set(**FAILING)
    node.run_for(timedelta(minutes=5))

    found = node.overview().obstacle

    assert found is not None
    said = re.fullmatch(
        r"account paused: provider_failing \((\d+) of \1 prompts failed since 2020-11-22 12:00:\d\d UTC, last with"
        r" generation_failed; \d+ attempts given back; next canary at (2020-11-22 12:\d\d:\d\d) UTC\)",
        found.reason,
    )
    assert said
    assert datetime.fromisoformat(f"{said[2]}Z") > node.clock()
    assert found.ends_by_itself


def test_a_failure_that_is_seen_after_the_provider_works_again_costs_its_job_no_attempt(
    node: Node, sandbox: Provider
) -> None:
    """Of a generation that a node had accepted and not polled: a node that was killed, or stood still."""
    node.submit(*prompts(60))
    sandbox.set(**FAILING)
    node.run_for(timedelta(seconds=2))
    [lost] = node.query("SELECT job_id FROM step WHERE kind = 'poll' ORDER BY job_id LIMIT 1")
    node.query(
        f"UPDATE step SET due_at = '{START + timedelta(hours=1)}' WHERE job_id = '{lost['job_id']}' RETURNING job_id"
    )
    node.run_for(timedelta(minutes=2))
    during = node.pause_reason()
    sandbox.set(**WELL)
    node.run_for(timedelta(minutes=30))
    before = (node.pause_reason(), node.jobs().count("succeeded"))

    node.run_until_quiet()

    assert (during, before) == ("provider_failing", (None, 59))
    assert node.jobs() == ["succeeded"] * 60
    assert node.query("SELECT DISTINCT failures FROM job") == [{"failures": 0}]
    books.check_all_done(node, sandbox)


def test_an_operator_ends_the_pause_by_hand(node: Node, sandbox: Provider) -> None:
    node.submit(*prompts(60))
    sandbox.set(**FAILING)
    node.run_for(timedelta(hours=2))
    sandbox.set(**WELL)
    by = node.author()

    control.resume(node.services.database, "default", by)
    node.run_for(timedelta(minutes=1))

    assert node.jobs() == ["succeeded"] * 60


class TestManyWorkers:
    @pytest.fixture
    def clock(self) -> SharedClock:
        return SharedClock(START)

    def test_nodes_share_what_they_see_and_send_one_canary_together(self, node_for: NodeFor, sandbox: Provider) -> None:
        nodes = [node_for() for _ in range(3)]
        for each in nodes:
            each.services = replace(each.services, policies=replace(each.services.policies, unproved_window=12))
        nodes[0].limit(rate=50.0)
        nodes[0].submit(*prompts(60))
        sandbox.set(**FAILING)
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda each: each.run_for(timedelta(minutes=10)), nodes))
        during = (nodes[0].pause_reason(), nodes[0].jobs().count("failed"), len(sandbox.tasks()))
        sandbox.set(**WELL)

        crew.work(nodes)
        nodes[0].run_until_quiet()

        assert during[:2] == ("provider_failing", 0)
        assert during[2] < 30
        assert nodes[0].jobs() == ["succeeded"] * 60
        books.check_all_done(nodes[0], sandbox)
