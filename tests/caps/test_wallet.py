"""A wallet that runs dry in the middle of a batch costs time and nothing else."""

from dataclasses import replace
from datetime import timedelta

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.node import Node
from worker import dispatch
from worker.db import accounts


def test_a_batch_that_meets_an_empty_wallet_ends_with_all_its_images_after_a_top_up(
    node: Node, sandbox: Provider
) -> None:
    with node.services.database.transaction() as tx:
        accounts.configure(tx, node.services.account_id, rate=200.0, max_in_flight=100, now=node.clock())
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
