"""A prompt that fails wherever it is asked for: it is given up before it burns the credits of whole batches."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.batches import crew
from tests.batches.crew import SharedClock
from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.conftest import NodeFor
from tests.pipeline.node import START, Node
from worker.batches import control
from worker.engine.rules.give_up import BREAKER_CLOSES_AFTER, BREAKER_OPENS_AFTER
from worker.engine.steps.provider_health import LONE_WAITS

CURSED = {"prompt": "A cursed chair"}
PAID_FOR = """
    SELECT g.id FROM generation g JOIN job j ON j.id = g.job_id WHERE j.prompt = 'A cursed chair' AND g.sends > 0"""
RECORD = "SELECT failures, last_code FROM prompt_failure"


def open_breaker(node: Node, sandbox: Provider) -> None:
    """Let the prompt fail so often that it is given up, each time in a batch of its own."""
    sandbox.set(failing_prompts="curse", failing_prompts_charge=1)
    for _ in range(BREAKER_OPENS_AFTER):
        node.submit(CURSED)
        node.run_until_quiet()


def without_brakes(node: Node) -> None:
    """Turn off the checks that pause the account when the provider fails."""
    node.services = replace(node.services, policies=replace(node.services.policies, has_brakes=False))


def codes(node: Node) -> list[str | None]:
    return [row["failure_code"] for row in node.query("SELECT failure_code FROM job ORDER BY batch_id, line")]


@pytest.mark.parametrize("charge", [0, 1, 4])
def test_a_prompt_that_keeps_failing_in_a_batch_of_100_costs_5_generations_and_all_good_ones_are_rendered(
    charge: int, node: Node, sandbox: Provider
) -> None:
    node.limit(rate=2.0, window=1)
    sandbox.set(failing_prompts="curse", failing_prompts_charge=charge)
    node.submit(*(CURSED if n % 5 == 0 else {"prompt": f"Chair {n}"} for n in range(100)))

    node.run_until_quiet()

    assert len(node.query(PAID_FOR)) == BREAKER_OPENS_AFTER
    assert books.balance(node, "spent") == BREAKER_OPENS_AFTER * charge + 80 * 4
    assert node.jobs() == ["failed" if n % 5 == 0 else "succeeded" for n in range(100)]
    books.check_all_done(node, sandbox)


def test_a_job_whose_prompt_keeps_failing_ends_unsent_with_its_hold_void(node: Node, sandbox: Provider) -> None:
    open_breaker(node, sandbox)
    before = (len(sandbox.tasks()), len(node.entries()))

    node.submit(CURSED)
    node.run_until_quiet()

    assert codes(node)[-1] == "poisoned_prompt"
    assert len(sandbox.tasks()) == before[0]
    assert node.entries()[before[1] :] == [("hold", 4), ("void", 4)]
    assert node.generations()[-1] == "void"
    books.check_all_done(node, sandbox)


def test_the_failure_says_how_often_it_failed_with_what_and_what_to_do(node: Node, sandbox: Provider) -> None:
    open_breaker(node, sandbox)
    node.submit(CURSED)

    node.run_until_quiet()

    message = node.query("SELECT failure_message FROM job WHERE failure_code = 'poisoned_prompt'")[0]["failure_message"]
    assert "failed 5 times in a row, last with generation_failed" in message
    assert "`darkroom retry BATCH --code poisoned_prompt`" in message


def test_jobs_in_line_with_a_prompt_that_keeps_failing_end_at_once_without_a_slot_or_a_hold(
    node: Node, sandbox: Provider
) -> None:
    node.limit(rate=2.0, window=1)
    sandbox.set(failing_prompts="curse", failing_prompts_charge=4)
    node.submit(*[CURSED] * 9)

    node.run_until_quiet()

    assert codes(node) == ["generation_failed"] * 5 + ["poisoned_prompt"] * 4
    assert len(node.generations()) == 5
    books.check_all_done(node, sandbox)


def test_the_job_that_opens_the_breaker_of_its_prompt_has_no_further_attempt(node: Node, sandbox: Provider) -> None:
    """A free failure is followed by up to two more attempts, but for this."""
    without_brakes(node)
    sandbox.set(failing_prompts="curse")
    node.submit(CURSED)
    node.run_until_quiet()

    node.submit(CURSED)
    node.run_until_quiet()

    assert node.generations() == ["failed"] * 5
    assert codes(node) == ["generation_failed"] * 2


def test_a_success_wipes_out_the_failures_before_it(node: Node, sandbox: Provider) -> None:
    sandbox.set(failing_prompts="curse", failing_prompts_charge=1)
    node.submit(*[CURSED] * 4)
    node.run_until_quiet()
    before = node.query(RECORD)
    sandbox.set(failing_prompts="")

    node.submit(CURSED)
    node.run_until_quiet()

    assert before == [{"failures": 4, "last_code": "generation_failed"}]
    assert node.query(RECORD) == []
    assert node.jobs()[-1] == "succeeded"


def test_after_a_day_the_prompt_may_be_tried_again_and_counts_anew(node: Node, sandbox: Provider) -> None:
    open_breaker(node, sandbox)
    node.clock.advance(BREAKER_CLOSES_AFTER)

    node.submit(CURSED)
    node.run_until_quiet()

    assert len(node.query(PAID_FOR)) == BREAKER_OPENS_AFTER + 1
    assert node.query(RECORD) == [{"failures": 1, "last_code": "generation_failed"}]


@pytest.mark.parametrize("mode", ["failed_at_create", "failed_at_poll"])
def test_an_empty_wallet_says_nothing_about_the_prompt(mode: str, node: Node, sandbox: Provider) -> None:
    sandbox.set(no_credits=mode)
    sandbox.fund(0)
    node.submit(*[CURSED] * 10)

    node.run_for(timedelta(minutes=5))

    assert node.query(RECORD) == []


def test_a_prompt_that_a_person_retries_has_a_fresh_start(node: Node, sandbox: Provider) -> None:
    open_breaker(node, sandbox)
    receipt = node.submit(CURSED)
    node.run_until_quiet()
    sandbox.set(failing_prompts="")
    database = node.services.database

    effect = control.retry_failed(database, receipt.batch_id, node.author(), approve_above=None, code="poisoned_prompt")
    node.run_until_quiet()

    assert effect is not None
    assert (effect.jobs, effect.credits) == (1, 4)
    assert node.jobs()[-1] == "succeeded"
    books.check_all_done(node, sandbox)


def test_a_retry_leaves_other_prompts_as_they_are(node: Node, sandbox: Provider) -> None:
    sandbox.set(failing_prompts="curse", failing_prompts_charge=1)
    node.submit(CURSED)
    receipt = node.submit({"prompt": "Another curse"})
    node.run_until_quiet()

    control.retry_failed(node.services.database, receipt.batch_id, node.author(), approve_above=None)

    assert len(node.query(RECORD)) == 1


def test_a_request_that_may_have_been_sent_is_never_given_up_for_its_prompt(node: Node, sandbox: Provider) -> None:
    sandbox.script(("create", 1, "lost_reply"))
    node.submit(CURSED)
    node.round()
    node.query(
        """
        INSERT INTO prompt_failure SELECT id, 'qwen-image', sha256('A cursed chair'), 5, :now, :now, 'generation_failed'
        FROM account RETURNING 1""",
        now=node.clock(),
    )

    node.run_until_quiet()

    assert node.jobs() == ["succeeded"]
    assert len(sandbox.tasks()) == 1
    books.check_all_done(node, sandbox)


class TestManyWorkers:
    @pytest.fixture
    def clock(self) -> SharedClock:
        return SharedClock(START)

    def test_any_number_of_workers_may_fail_one_prompt_at_once(self, node_for: NodeFor, sandbox: Provider) -> None:
        """None waits for another in a circle, and no failure is counted twice or lost."""
        nodes = [node_for() for _ in range(4)]
        nodes[0].limit(rate=500.0)
        sandbox.set(failing_prompts="curse")
        for owner in ("ann", "ann", "bob"):
            nodes[0].submit(*[CURSED] * 30, owner=owner)

        crew.work(nodes)

        failed = nodes[0].generations().count("failed")
        counted = failed - len(LONE_WAITS)
        assert nodes[0].query(RECORD) == [{"failures": counted, "last_code": "generation_failed"}]
        assert set(nodes[0].jobs()) == {"failed"}
        books.check_all_done(nodes[0], sandbox)
