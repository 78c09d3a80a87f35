"""A wallet that runs dry in the middle of a batch costs time and nothing else."""

from dataclasses import replace
from datetime import timedelta

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.node import EVERY, Node
from worker.accounts.queries import accounts
from worker.accounts.rules.pace import WALLET_BELIEVED_FOR, WALLET_READ_AGAIN_AFTER
from worker.batches.queries import overview
from worker.engine import dispatch
from worker.engine.queries import batches


def test_a_batch_that_meets_an_empty_wallet_ends_with_all_its_images_after_a_top_up(
    node: Node, sandbox: Provider
) -> None:
    node.limit(rate=200.0)
    node.submit(*({"prompt": str(number)} for number in range(500)))
    sandbox.fund(400)
    node.run_for(timedelta(minutes=5))
    while_empty = (node.jobs().count("succeeded"), node.jobs().count("pending"), node.pause_reason())
    sandbox.fund(1_600)

    node.run_until_quiet()

    assert while_empty == (100, 400, "insufficient_credits")
    assert node.jobs() == ["succeeded"] * 500
    assert books.balance(node, "spent") == 2_000
    books.check_all_done(node, sandbox)


def test_rounds_between_two_readings_of_the_wallet_stay_above_its_floor_together(node: Node) -> None:
    services = node.services
    node.services = replace(services, policies=replace(services.policies, wallet_floor=2))
    node.submit(*({"prompt": str(number)} for number in range(5)))
    with services.database.transaction() as tx:
        accounts.record_wallet(
            tx, reading_id=services.new_id(), account_id=services.account_id, balance=10, now=node.clock()
        )

    admitted = []
    for _ in range(3):
        admitted.append(len(dispatch.run(node.services).tickets))
        node.clock.advance(timedelta(seconds=1))

    assert admitted == [2, 0, 0]
    assert node.query("SELECT wallet_left FROM account") == [{"wallet_left": 2}]


def test_no_more_creates_are_sent_than_the_last_reading_of_the_wallet_can_pay(node: Node, sandbox: Provider) -> None:
    """Where too few credits make a task that fails, each create beyond them would be sent in vain."""
    sandbox.set(no_credits="failed_at_poll")
    sandbox.fund(80)
    node.keep(EVERY)
    node.submit(*({"prompt": str(number)} for number in range(40)))

    node.run_for(timedelta(minutes=2))

    assert len(sandbox.tasks()) == 20
    assert node.jobs().count("succeeded") == 20
    assert node.pause_reason() is None


def test_a_top_up_is_seen_within_seconds_while_jobs_wait_for_the_wallet(node: Node, sandbox: Provider) -> None:
    sandbox.set(no_credits="failed_at_poll")
    sandbox.fund(80)
    node.keep(EVERY)
    node.submit(*({"prompt": str(number)} for number in range(30)))
    node.run_for(timedelta(minutes=2))
    sandbox.fund(10_000)

    node.run_for(WALLET_READ_AGAIN_AFTER + timedelta(seconds=1))
    node.run_for(timedelta(seconds=20))

    assert node.jobs() == ["succeeded"] * 30
    books.check_all_done(node, sandbox)


def test_a_wallet_that_cannot_be_read_any_more_does_not_stop_work_for_ever(node: Node, sandbox: Provider) -> None:
    sandbox.fund(80)
    node.keep(EVERY)
    node.submit(*({"prompt": str(number)} for number in range(30)))
    node.run_for(timedelta(minutes=1))
    sandbox.fund(10_000)
    sandbox.set(faults={"credits": {"http_503": 1.0}})

    node.run_for(WALLET_BELIEVED_FOR + timedelta(minutes=1))

    assert node.jobs() == ["succeeded"] * 30


def test_the_status_says_that_the_wallet_is_too_low_and_what_to_do(node: Node, sandbox: Provider) -> None:
    sandbox.fund(80)
    node.keep(EVERY)
    batch = node.submit(*({"prompt": str(number)} for number in range(30))).batch_id
    node.run_for(timedelta(minutes=1))

    with node.services.database.transaction() as tx:
        row = batches.by_id(tx, batch)
        assert row is not None
        found = overview.read(tx, row, now=node.clock())

    assert found.obstacle is not None
    assert found.obstacle.reason == "the wallet has 0 credits left, and the next image needs 4"
    assert found.obstacle.next_step == "top up the wallet; work resumes by itself within a minute"
