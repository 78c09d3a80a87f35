"""A provider that refuses every create pauses the account: no job fails for it, and one job at a time probes."""

import random
from datetime import timedelta

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.conftest import NodeFor
from tests.pipeline.node import Node
from tests.pipeline.provider.test_provider_failing import prompts, unproved
from worker.accounts import control

REFUSING = {"refused_prompts": "Chair"}
WELL = {"refused_prompts": ""}


def refused(node: Node) -> int:
    """Count the creates that were refused."""
    return int(node.query("SELECT count(*) AS n FROM call WHERE kind = 'create' AND outcome = 'refused'")[0]["n"])


def evidence(node: Node) -> dict[str, object]:
    """Return what speaks against the provider for its refusals."""
    return node.query("SELECT create_score, create_succeeded, create_began_at FROM provider_health")[0]


@pytest.fixture
def node(node_for: NodeFor) -> Node:
    """Return a node that opens few generations at a provider that has not proved to work, as real nodes do."""
    return unproved(node_for())


@pytest.mark.parametrize("rate", [2.0, 50.0])
def test_ten_minutes_of_nothing_but_refusals_fail_no_job(rate: float, node: Node, sandbox: Provider) -> None:
    node.limit(rate=rate)
    node.submit(*prompts(120))
    sandbox.set(**REFUSING)
    node.run_for(timedelta(minutes=10))
    during = (node.pause_reason(), node.jobs().count("failed"), refused(node))
    words = node.overview().obstacle
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
    node.limit(rate=rate)
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


def test_what_was_refused_before_the_pause_is_given_back_even_if_an_operator_ends_the_pause_at_once(
    node: Node, sandbox: Provider
) -> None:
    node.limit(rate=10.0)
    node.submit(*prompts(40))
    sandbox.set(**REFUSING)
    while node.pause_reason() is None:
        node.run_for(timedelta(seconds=0.1))
    sandbox.set(**WELL)
    by = node.author()

    control.resume(node.services.database, "default", by)
    node.run_until_quiet()

    assert node.jobs() == ["succeeded"] * 40
    books.check_all_done(node, sandbox)


def test_a_refusal_that_comes_after_the_pause_to_a_create_that_was_sent_before_costs_its_job_nothing(
    node: Node, sandbox: Provider
) -> None:
    node.submit(*prompts(20))
    sandbox.set(**REFUSING)
    node.run_for(timedelta(minutes=1))
    paused = node.pause_reason()
    creates: list[str] = []

    def end_the_pause(effect: str) -> None:
        """Have an operator end the pause while a canary's create is under way; from the next one on all is well."""
        if effect != "before create":
            return
        creates.append(effect)
        if len(creates) == 1:
            control.resume(node.services.database, "default", node.author())
            node.clock.advance(timedelta(seconds=1))
        else:
            sandbox.set(**WELL)

    node.services.client.listener = end_the_pause  # type: ignore[attr-defined]
    node.run_until_quiet()

    assert paused == "provider_failing"
    assert node.jobs() == ["succeeded"] * 20
    assert node.query("SELECT DISTINCT failures FROM job") == [{"failures": 0}]
    books.check_all_done(node, sandbox)


def test_an_accepted_canary_speaks_for_the_provider_only_when_its_generation_has_succeeded(
    node: Node, sandbox: Provider
) -> None:
    node.submit(*prompts(40))
    sandbox.set(**REFUSING)
    node.run_for(timedelta(minutes=1))
    paused = (node.pause_reason(), evidence(node))
    sandbox.set(latency_median_s=10**6, **WELL)

    node.run_for(timedelta(minutes=5))

    assert node.generations().count("accepted") == 1
    assert (node.pause_reason(), evidence(node)) == paused


def test_refusals_are_forgotten_when_an_accepted_create_has_settled_them(node: Node, sandbox: Provider) -> None:
    node.submit(*prompts(1))
    sandbox.set(**REFUSING)
    node.run_for(timedelta(minutes=1))
    tries = node.query("SELECT is_excused FROM failed_attempt WHERE is_excused")
    sandbox.set(**WELL)

    node.run_until_quiet()

    assert tries
    assert node.jobs() == ["succeeded"]
    assert node.query("SELECT job_id FROM failed_attempt") == []
    assert evidence(node) == {"create_score": 0, "create_succeeded": 0, "create_began_at": None}


def test_a_refusal_that_is_not_decided_yet_is_an_answer(node: Node, sandbox: Provider) -> None:
    """A send without one could have created something: its hold would stay, and its bytes would be sent again."""
    node.submit(*prompts(1))
    sandbox.set(**REFUSING)

    node.run_for(timedelta(seconds=10))

    assert node.jobs() == ["active"]
    assert node.query("SELECT sends, answers FROM generation") == [{"sends": 1, "answers": 1}]


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
    node.limit(rate=rate)
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
