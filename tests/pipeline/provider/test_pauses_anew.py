"""How a pause for a failing provider begins and lasts: with its own counts, and with what it is not allowed to end."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.node import Node
from tests.pipeline.provider.test_provider_failing import FAILING, prompts, with_attempts
from tests.pipeline.provider.test_turned_away import turn_away
from worker.core.rules.retry import OFFER_TRIES, ReplayPolicy

BREAKS = {
    "provider_failing": FAILING,
    "outcomes_unknown": {"faults": {"create": {"lost_reply": 1.0}}},
}
"""What the provider does, by the reason of the pause that follows."""


def run_until_paused(node: Node) -> None:
    """Stop before the next round of dispatch could begin a canary."""
    while node.pause_reason() is None:
        decided = node.round()
        node.clock.now = max(node.clock.now, decided.look_again_at or node.clock.now + timedelta(seconds=1))


@pytest.mark.parametrize("reason", BREAKS)
def test_a_pause_begins_without_the_canaries_and_the_counts_of_the_one_before(
    reason: str, node: Node, sandbox: Provider
) -> None:
    """The one before may have turned into a pause for another reason, which ended without forgetting them."""
    with_attempts(node, 1)
    node.submit(*prompts(40))
    [known] = node.query("SELECT id FROM account")
    [stale] = node.query("SELECT id FROM job ORDER BY line DESC LIMIT 1")
    node.query(
        "INSERT INTO provider_health (account_id, given_back, canary_job_id, canaries_passed, proved_at, usual, score,"
        " failed, succeeded, lost_creates) VALUES (:account, 7, :job, 1, :now, 0.05, 0, 0, 0, 0) RETURNING 1",
        account=known["id"],
        job=stale["id"],
        now=node.clock(),
    )
    sandbox.set(**BREAKS[reason])

    run_until_paused(node)

    [health] = node.query("SELECT canary_job_id, canaries_passed, proved_at, given_back FROM provider_health")
    assert node.pause_reason() == reason
    assert (health["canary_job_id"], health["canaries_passed"], health["proved_at"]) == (None, 0, None)
    if reason == "provider_failing":
        [said] = node.query("SELECT pause_message FROM account")
        assert health["given_back"] == 0
        assert "; 0 attempts given back;" in said["pause_message"]


@pytest.mark.parametrize("reason", BREAKS)
@pytest.mark.parametrize(("seconds", "probes"), [(20, 6), (3600, 0)])
def test_a_pause_soon_after_the_last_one_goes_on_with_its_growing_waits(
    seconds: int, probes: int, reason: str, node: Node, sandbox: Provider
) -> None:
    node.query("UPDATE account SET probes = 6, resumed_at = :at RETURNING 1", at=node.clock())
    node.clock.advance(timedelta(seconds=seconds))
    node.submit(*prompts(40))
    sandbox.set(**BREAKS[reason])

    run_until_paused(node)

    assert node.query("SELECT pause_reason, probes FROM account") == [{"pause_reason": reason, "probes": probes}]


def test_a_failure_that_was_charged_ends_its_job_at_once_and_waits_for_no_other_outcome(
    node: Node, sandbox: Provider
) -> None:
    """To try it again would cost credits, so that nothing that others show could help it."""
    node.submit(*prompts(2))
    sandbox.set(faults={"create": {"charge_failed": 1.0}})

    node.run_for(timedelta(seconds=15))

    assert node.jobs() == ["failed"] * 2
    assert len(sandbox.tasks()) == 2
    books.check_all_done(node, sandbox)


def test_a_job_whose_failure_is_not_decided_says_so(node: Node, sandbox: Provider) -> None:
    with_attempts(node, 1)
    sandbox.set(latency_median_s=600)
    node.submit({"prompt": "A table"})
    node.run_for(timedelta(seconds=1))
    sandbox.set(latency_median_s=0, **FAILING)
    node.submit({"prompt": "A chair"})

    node.run_for(timedelta(seconds=20))

    said = node.query("SELECT s.error FROM step s JOIN job j ON j.id = s.job_id WHERE j.prompt = 'A chair'")
    assert said == [{"error": "generation_failed: whether the prompt or the provider fails is not decided yet"}]


def test_a_job_that_waits_alone_says_that_it_is_tried_again(node: Node, sandbox: Provider) -> None:
    with_attempts(node, 1)
    sandbox.set(**FAILING)
    node.submit({"prompt": "A chair"})

    node.run_for(timedelta(seconds=20))

    assert node.query("SELECT error FROM step") == [
        {
            "error": "generation_failed: whether the prompt or the provider fails is not decided yet; it is tried"
            " again within 8 minutes at no cost"
        }
    ]


def test_a_provider_that_fails_every_generation_for_longer_than_a_day_fails_no_job(
    node: Node, sandbox: Provider
) -> None:
    """Refused creates may all be the lines' own fault, and end after a day; generations that fail may not."""
    with_attempts(node, 1)
    node.submit(*prompts(20))
    sandbox.set(**FAILING)
    run_until_paused(node)
    node.query("UPDATE account SET paused_at = paused_at - interval '27 hours' RETURNING 1")

    node.run_for(timedelta(minutes=30))

    assert (node.pause_reason(), node.jobs().count("failed")) == ("provider_failing", 0)


def test_a_create_that_may_be_paid_keeps_its_hold_however_long_its_replays_are_turned_away(
    node: Node, sandbox: Provider
) -> None:
    """What turns a request away says nothing about one that was sent before it and lost its answer."""
    policies = replace(node.services.policies, replay=ReplayPolicy(window=timedelta(days=3)))
    node.services = replace(node.services, policies=policies)
    node.submit({"prompt": "A chair"})
    sandbox.script(("create", 1, "lost_reply"))
    node.run_for(timedelta(seconds=0.5))
    turn_away(sandbox, "create", 1.0)
    node.query("UPDATE step SET since = since - interval '26 hours', attempts = :tries RETURNING 1", tries=OFFER_TRIES)
    node.run_for(timedelta(minutes=10))
    during = (node.jobs(), node.entries())
    turn_away(sandbox, "create", 0.0)

    node.run_until_quiet()

    assert during == (["active"], [("hold", 4)])
    assert node.jobs() == ["succeeded"]
    assert len(sandbox.tasks()) == 1
    books.check_all_done(node, sandbox)
