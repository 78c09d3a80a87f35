import pytest

from tests.acceptance import books, manifests
from tests.acceptance.waiting import until
from tests.acceptance.world import World
from tests.chaos import moments
from tests.chaos.conftest import OwnServices
from tests.node import database

pytestmark = pytest.mark.chaos


def test_connections_to_the_database_that_are_cut_in_mid_run_cost_no_job(local_world: World) -> None:
    local_world.provider.set(**moments.SLOW_ANSWERS)
    local_world.node()
    local_world.submit(manifests.with_references(moments.JOBS, local_world.folder, references=4))
    moments.in_mid_run(local_world)

    local_world.cut_connections()
    moments.in_mid_run(local_world)
    local_world.cut_connections()
    local_world.provider.set(**moments.PROMPT_ANSWERS)
    local_world.wait_until_done_in_haste()

    books.check(local_world)


def test_a_database_that_is_killed_and_started_again_costs_no_job(own_services: OwnServices) -> None:
    world = own_services.world
    world.provider.set(**moments.SLOW_ANSWERS)
    world.node()
    world.submit(manifests.plain(moments.JOBS))
    moments.in_mid_run(world)

    moments.kill(own_services.running.postgres.pid)
    own_services.start()
    world.database.engine.dispose()
    world.provider.set(**moments.PROMPT_ANSWERS)
    world.wait_until_done_in_haste()

    books.check(world)


def test_a_node_that_cannot_reach_the_database_does_not_log_its_password(local_world: World) -> None:
    node = local_world.node()
    local_world.submit(manifests.plain(1))
    password = local_world.database.url.password or ""

    with database.away(local_world):
        moments.send_tickets(local_world, moments.FOR_NOBODY)
        until(lambda: "step.failed" in node.words(), "a step fails for want of the database")
    until(lambda: local_world.unfinished() == 0, "the node goes on")

    assert password
    assert password not in node.words()
