"""A batch of 300 jobs goes through all the faults that were found in use, at the same time."""

import pytest

from tests.acceptance import books, manifests
from tests.acceptance.waiting import until
from tests.acceptance.world import ON_EACH_TRANSPORT, World
from tests.chaos import clocks
from tests.node import batches, raw
from tests.node.raw import Message, good, headers

pytestmark = pytest.mark.acceptance

LOST = {"lost_reply": 0.03, "http_503": 0.03, "reset_before": 0.03, "reset_after": 0.03}
FAILING = {"create": {**LOST, "fail_generation": 1.0}}
WELL = {"create": {**LOST, "fail_generation": 0.0}}
BODIES = (b'"just a string"', b"[1,2,3,4]", b"[[],{}]", b"{}", b"null", b"5", b"\xff\xfe", b"[5,{},{}]")
WAITING = "kind IN ('collect', 'upload') AND starts_with(error, 'store_unavailable')"
JOBS = 300
OUTAGE_S = 600
"""It passes in a thirtieth of the time, for whatever waits."""
STORE_AWAY_S = 60


def poison() -> list[Message]:
    """Return messages that are no batch, each with an id of its own."""
    return [Message(body=body, headers=headers()) for body in BODIES]


@ON_EACH_TRANSPORT
def test_300_jobs_survive_poisoned_messages_a_clock_a_day_ahead_a_failing_provider_and_a_lost_store_at_once(
    world: World,
) -> None:
    world.provider.set(latency_median_s=0.3, faults={"*": LOST, **WELL})
    world.node()
    raw.put(world.broker_url, poison())
    clocks.node(world, {}, offset_s=clocks.DAY_S)
    world.submit(manifests.with_references(JOBS, world.folder, references=12))
    until(lambda: world.count("result") >= 20, "first images are in the store")

    world.provider.set(faults=FAILING)
    until(lambda: world.count("generation", "state = 'failed'") >= 5, "the provider fails generations")
    raw.put(world.broker_url, [*poison(), good("behind the poison")])
    share = world.folder / "share"
    world.images.rename(share)
    until(lambda: world.count("step", WAITING) >= 1, "steps wait for the store")
    world.live_through(seconds=STORE_AWAY_S, speed=10)
    share.rename(world.images)
    world.live_through(seconds=OUTAGE_S, speed=30)
    during = {state: world.count("job", f"state = '{state}'") for state in ("failed", "in_doubt")}
    [account] = world.query("SELECT pause_reason, probes FROM account")
    tried = world.count("generation", "state = 'failed'")
    world.provider.set(faults=WELL)
    world.live_through(seconds=1800, speed=20, until_done=True)

    assert world.unfinished() == 0
    assert during == {"failed": 0, "in_doubt": 0}
    assert account["pause_reason"] == "provider_failing"
    assert account["probes"] >= 3
    # Without the pause all of them would have been tried three times in these ten minutes. How many fail before the
    # first failure is seen depends on how busy the machine is.
    assert tried < JOBS
    assert batches.taken(world, "behind the poison")["done"] == 1
    assert world.count("job", "state = 'succeeded'") == JOBS + 1
    assert world.count("batch", "state = 'refused'") == 2 * len(BODIES)
    assert all(node.is_running() for node in world.nodes)
    books.check(world)
