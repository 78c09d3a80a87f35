"""Real processes: a node that would poll after a minute makes its images as soon as the provider's webhooks come."""

import pytest
from uuid_utils.compat import uuid7

from ops.bench.receiving import receiving
from tests.acceptance import books, manifests
from tests.acceptance.waiting import until
from tests.acceptance.world import ON_ONE_BROKER, World
from worker.accounts import webhooks
from worker.accounts.queries import accounts
from worker.core.db.changes import Author
from worker.core.db.clock import DatabaseClock
from worker.provider.client import Client
from worker.provider.webhooks import Verifier

pytestmark = pytest.mark.acceptance
JOBS = 12
SENDS = {
    "latency_median_s": 1.0,
    "latency_sigma": 0.2,
    "webhook_loopback": True,
    "webhook_doubled": 0.5,
    "webhook_forged": 0.5,
}


@ON_ONE_BROKER
def test_with_webhooks_that_are_doubled_and_forged_each_image_takes_one_poll(world: World) -> None:
    world.provider.set(**SENDS)
    clock = DatabaseClock()
    clock.follow(world.database)
    with world.database.transaction() as tx:
        account_id = accounts.ensure(tx, account_id=uuid7(), name="default", now=clock())
    client = Client(base_url=world.provider.base_url, api_key=world.provider.key, now=clock)
    with receiving(world.database, clock) as address:
        webhooks.add(
            world.database,
            client,
            account_id,
            Author(actor="test", reason=None, now=clock(), new_id=uuid7),
            address=address,
            name="test",
            verifiers=(Verifier.STANDARD,),
        )
        world.node(DARKROOM_POLL_FIRST_S="60")
        world.submit(manifests.plain(JOBS))
        until(lambda: world.count("job", "state = 'succeeded'") == JOBS, "every image is there", timeout_s=45)

    books.check(world)
    assert {task["polls"] for task in world.provider.tasks()} == {1}
