"""Whatever a node's wall clock says, work goes on, and nothing is dated by it."""

from collections.abc import Callable

import pytest

from tests.acceptance import books, manifests
from tests.acceptance.waiting import until
from tests.acceptance.world import World
from tests.chaos import clocks
from tests.chaos.clocks import DAY_S
from worker.audit.queries import instants

pytestmark = pytest.mark.chaos

SLOW = {"latency_median_s": 0.3, "faults": {"create": {"lost_reply": 0.05}}}
"""Of twenty creates, one has happened and its answer is lost."""
SEALS = {"DARKROOM_SEAL_EVERY": "1s", "DARKROOM_WALLET_EVERY": "1s"}


def with_another(world: World) -> None:
    world.node(**SEALS)


def alone(world: World) -> None:
    """Leave the node whose clock is wrong the only one."""


@pytest.mark.parametrize("company", [with_another, alone])
def test_jobs_are_processed_while_a_nodes_clock_is_stepped(
    company: Callable[[World], None], local_world: World
) -> None:
    local_world.provider.set(**SLOW)
    company(local_world)
    node, clock = clocks.node(local_world, SEALS | {"DARKROOM_RATE": "20"})
    local_world.submit(manifests.plain(80))

    clocks.step_through(local_world, clock, images_each=8)
    lies_ahead = not clocks.nothing_lies_ahead(local_world)
    local_world.wait_until_done_in_haste()

    books.check(local_world)
    assert not lies_ahead
    assert local_world.count("seal") > 0
    until(lambda: "node.clock_off" in node.words(), "the node tells that its clock is off")


def test_a_node_that_starts_a_day_ahead_works_beside_a_right_one_and_is_named(local_world: World) -> None:
    local_world.node(**SEALS)
    clocks.node(local_world, SEALS, offset_s=DAY_S)
    local_world.submit(manifests.plain(40))

    local_world.wait_until_done_in_haste()

    books.check(local_world)
    offsets = local_world.query("SELECT clock_offset_s FROM node ORDER BY clock_offset_s")
    assert [round(row["clock_offset_s"] / DAY_S) for row in offsets] == [0, 1]
    with local_world.database.transaction() as tx:
        assert instants.at_a_glance(tx) == []


def test_a_running_node_heals_what_a_node_of_before_left_at_tomorrow(local_world: World) -> None:
    node = local_world.node()
    local_world.query(clocks.FROZEN)

    local_world.submit(manifests.plain(5))
    local_world.wait_until_done()

    books.check(local_world)
    assert "instant.healed" in node.words()
    assert clocks.nothing_lies_ahead(local_world)


def test_creates_that_a_node_two_minutes_fast_left_unanswered_are_not_paid_for_again(local_world: World) -> None:
    local_world.provider.set(idempotency_window_s=3590, faults={"create": {"lost_reply": 1.0}})
    fast, _ = clocks.node(local_world, {}, offset_s=120)
    local_world.submit(manifests.plain(3))
    # A send is counted before its request leaves the node, so only the provider knows that all have arrived.
    until(lambda: len(local_world.provider.tasks()) == 3, "three creates are carried out and their answers are lost")
    fast.kill()

    clocks.pass_most_of_the_window(local_world, seconds=3595)
    local_world.provider.set(faults={})
    local_world.node()
    until(lambda: local_world.count("job", "state = 'in_doubt'") == 3, "all are past the window")

    assert len(local_world.provider.tasks()) == 3
