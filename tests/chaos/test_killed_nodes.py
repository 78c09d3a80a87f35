import pytest

from tests.acceptance import books, manifests
from tests.acceptance.world import World
from tests.chaos import moments

pytestmark = pytest.mark.chaos


def test_after_kill_9_of_the_only_worker_a_new_one_completes_the_batch_and_nothing_is_paid_twice(
    world: World,
) -> None:
    world.provider.set(**moments.SLOW_ANSWERS)
    killed = world.node()
    world.submit(manifests.plain(moments.JOBS))
    moments.in_mid_run(world)

    killed.kill()
    world.provider.set(**moments.PROMPT_ANSWERS)
    world.pass_time()
    world.node()
    world.wait_until_done_in_haste()

    books.check(world)
    assert world.provider.books()["replays"] > 0, "the creates that were under way have been sent again"


def test_a_node_takes_over_what_another_had_when_it_was_killed(local_world: World) -> None:
    local_world.provider.set(**moments.SLOW_ANSWERS)
    killed, _survivor = local_world.begin_node(), local_world.node()
    local_world.submit(manifests.with_references(moments.JOBS, local_world.folder, references=4))
    moments.in_mid_run(local_world)

    killed.kill()
    local_world.pass_time()
    local_world.wait_until_done_in_haste()

    books.check(local_world)


def test_a_node_that_stood_still_for_longer_than_its_leases_does_no_harm_when_it_goes_on(local_world: World) -> None:
    local_world.provider.set(**moments.SLOW_ANSWERS)
    frozen = local_world.node()
    local_world.submit(manifests.plain(moments.JOBS))
    moments.in_mid_run(local_world)

    moments.freeze_between_transactions(local_world, frozen)
    local_world.provider.set(**moments.PROMPT_ANSWERS)
    local_world.pass_time()
    local_world.node()
    local_world.wait_until_done_in_haste()
    frozen.thaw()
    status = frozen.drain(timeout_s=45)

    books.check(local_world)
    assert status == 0
    assert local_world.provider.books()["replays"] > 0, "the creates that were under way have been sent again"


def test_a_worker_that_is_told_to_end_finishes_what_it_has_begun_and_exits_0(world: World) -> None:
    world.provider.set(**moments.SLOW_ANSWERS)
    drained = world.node()
    world.submit(manifests.plain(moments.JOBS))
    moments.in_mid_run(world)

    status = drained.drain(timeout_s=30)
    unanswered = world.count("generation", "sends > answers AND provider_id IS NULL")
    world.provider.set(**moments.PROMPT_ANSWERS)
    world.pass_time()
    world.node()
    world.wait_until_done_in_haste()

    books.check(world)
    assert (status, unanswered) == (0, 0)
    assert world.provider.books()["replays"] == 0
