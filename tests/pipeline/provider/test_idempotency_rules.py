"""What the provider leaves open about idempotency keys: however it is, the books agree and every job ends."""

from datetime import timedelta

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.conftest import NodeFor
from tests.pipeline.node import Node
from worker.batches import control

THREE = ({"prompt": "1"}, {"prompt": "2"}, {"prompt": "3"})


@pytest.mark.parametrize("fault", ["lost_reply", "http_503", "throttle_bare"])
@pytest.mark.parametrize(
    "switches",
    [
        {"idempotency_scope": "api_key"},
        {"idempotency_scope": "account"},
        {"idempotency_window_s": 5},
        {"idempotency_key_max": 45},
        {"idempotency_in_flight": "conflict"},
        {"idempotency_replay": "snapshot"},
        {"idempotency_burns": "refusals"},
        {"idempotency_burns": "everything"},
        {"idempotency_compare": "raw"},
        {"idempotency_replay_header": "Idempotent-Replayed"},
        {"idempotency_replay_status": 202},
    ],
    ids=str,
)
def test_every_job_ends_and_the_books_agree(
    switches: dict[str, object], fault: str, node: Node, sandbox: Provider
) -> None:
    node.submit(*THREE)
    sandbox.set(**switches)
    sandbox.script(("create", 2, fault))

    node.run_until_quiet()

    books.check_all_done(node, sandbox)


def test_a_429_that_is_remembered_under_its_key_delays_no_job_for_long(node: Node, sandbox: Provider) -> None:
    node.submit(*THREE)
    sandbox.set(idempotency_burns="everything")
    sandbox.script(("create", 1, "throttle_bare"))

    node.run_for(timedelta(minutes=1))

    assert node.jobs() == ["succeeded"] * 3
    assert node.generations() == ["void", *["succeeded"] * 3]
    books.check_all_done(node, sandbox)


def test_a_429_that_is_remembered_after_a_lost_answer_closes_the_account_ever_more_rarely(
    node_for: NodeFor, sandbox: Provider
) -> None:
    calls: list[str] = []
    node = node_for(listener=calls.append)
    node.submit({"prompt": "1"})
    sandbox.set(idempotency_burns="everything")
    sandbox.script(("create", 1, "reset_before"), ("create", 2, "throttle_bare"))

    node.run_until_quiet()

    assert node.jobs() == ["in_doubt"]
    assert calls.count("before create") <= 60
    books.check_all_done(node, sandbox)


def test_a_cancellation_takes_what_was_only_throttled(node: Node, sandbox: Provider) -> None:
    receipt = node.submit(*THREE)
    sandbox.set(faults={"create": {"throttle": 1.0}})
    node.run_for(timedelta(seconds=0.3))

    effect = control.cancel(node.services.database, receipt.batch_id, now=node.clock())

    assert (effect.cancelled, effect.draining) == (3, 0)
    node.run_until_quiet()
    books.check_all_done(node, sandbox)


@pytest.mark.parametrize(("before_its_end_s", "jobs"), [(50, ["succeeded"]), (44, ["in_doubt"]), (1, ["in_doubt"])])
def test_a_replay_is_sent_only_while_its_whole_call_fits_into_the_window(
    before_its_end_s: int, jobs: list[str], node: Node, sandbox: Provider
) -> None:
    """The provider may count the end of the call, and have forgotten the key by then."""
    node.submit({"prompt": "1"})
    sandbox.script(("create", 1, "lost_reply"))
    node.run_for(timedelta(seconds=0.2))
    sent_at = node.query("SELECT first_sent_at FROM generation")[0]["first_sent_at"]

    node.clock.now = sent_at + node.services.policies.replay.window - timedelta(seconds=before_its_end_s)
    node.run_until_quiet()

    assert node.jobs() == jobs
    assert node.query("SELECT sends FROM generation") == [{"sends": 2 if jobs == ["succeeded"] else 1}]
    assert len(sandbox.tasks()) == 1
