"""A wallet that runs dry in the middle of a batch costs time and nothing else."""

from datetime import timedelta

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.node import Node
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
