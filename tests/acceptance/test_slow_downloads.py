import pytest

from tests.acceptance import books, manifests
from tests.acceptance.waiting import until
from tests.acceptance.world import ON_ONE_BROKER, World

pytestmark = pytest.mark.acceptance

JOBS = 40
SLOW_HOST = {"slow_s": 14, "faults": {"download": {"slow": 1.0}}}
PROMPT_HOST = {"faults": {"download": {"slow": 0.0}}}


@ON_ONE_BROKER
def test_submits_and_polls_go_on_while_the_host_of_the_images_is_slow(world: World) -> None:
    world.provider.set(**SLOW_HOST)
    world.node(DARKROOM_CONCURRENCY="2", DARKROOM_COLLECTORS="2")
    world.submit(manifests.plain(JOBS))

    until(
        lambda: world.count("generation", "state = 'succeeded'") == JOBS,
        "the provider has ended them all",
        timeout_s=13,
    )
    stored = world.count("result")
    world.provider.set(**PROMPT_HOST)
    world.wait_until_done()

    books.check(world)
    assert stored == 0
