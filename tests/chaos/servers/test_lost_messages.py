import pytest

from tests.acceptance import books, brokers, manifests
from tests.acceptance.waiting import until
from tests.acceptance.world import World
from tests.chaos import moments
from tests.chaos.conftest import OwnServices

pytestmark = pytest.mark.chaos

SUBMIT = "darkroom.submit"


def test_a_broker_whose_data_is_wiped_in_mid_run_loses_no_job(world: World) -> None:
    world.provider.set(create_takes_s=0.5, latency_median_s=0.3)
    world.node(DARKROOM_CONCURRENCY="4", DARKROOM_RATE="200")
    world.submit(manifests.with_references(moments.JOBS, world.folder, references=4))
    until(lambda: brokers.waiting(world.broker_url, SUBMIT) >= 2, "messages lie in the broker")

    brokers.purge(world.broker_url)
    world.provider.set(create_takes_s=0)
    world.wait_until_done_in_haste()

    books.check(world)


def test_a_broker_that_is_killed_and_started_again_costs_no_job(own_services: OwnServices) -> None:
    world = own_services.world
    world.provider.set(**moments.SLOW_ANSWERS)
    world.node()
    world.submit(manifests.plain(moments.JOBS))
    moments.in_mid_run(world)

    moments.kill(own_services.running.valkey.pid)
    own_services.start()
    world.wait_until_done_in_haste()

    books.check(world)


def test_messages_that_come_twice_or_late_or_for_unknown_jobs_change_nothing(local_world: World) -> None:
    local_world.provider.set(**moments.SLOW_ANSWERS)
    local_world.node()
    local_world.submit(manifests.plain(moments.JOBS))
    moments.in_mid_run(local_world)

    moments.send_every_ticket_again(local_world, copies=3)
    local_world.wait_until_done_in_haste()
    moments.send_every_ticket_again(local_world, copies=2)
    until(lambda: brokers.is_without_messages(local_world.broker_url), "every message has been taken")

    books.check(local_world)
