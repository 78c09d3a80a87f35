import signal

import pytest

from tests.acceptance import books, manifests
from tests.acceptance.waiting import until
from tests.acceptance.world import World

pytestmark = pytest.mark.chaos

DEAF = "tests.chaos.nodes.deaf_node"


def test_a_node_that_no_longer_receives_from_its_broker_reconnects_and_continues(local_world: World) -> None:
    node = local_world.node(module=DEAF)

    node.process.send_signal(signal.SIGURG)
    local_world.submit(manifests.plain(10))
    local_world.wait_until_done_in_haste()

    books.check(local_world)
    assert "node.consumer_stalled" in node.words()
    assert node.is_running()


def test_a_node_that_stays_deaf_ends_with_a_failure_so_that_it_is_started_again(local_world: World) -> None:
    node = local_world.node(module=DEAF)

    node.process.send_signal(signal.SIGWINCH)
    local_world.submit(manifests.plain(10))
    until(lambda: not node.is_running(), "the node gives itself up")
    local_world.node()
    local_world.wait_until_done_in_haste()

    books.check(local_world)
    assert node.process.returncode == 1
