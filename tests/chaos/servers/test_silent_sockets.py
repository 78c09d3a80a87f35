"""A connection that stays up and passes nothing on, or one direction only, holds up neither jobs nor a node's end."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.acceptance import books, manifests
from tests.acceptance import world as worlds
from tests.acceptance.nodes import WorkerNode
from tests.acceptance.waiting import until
from tests.acceptance.world import World
from tests.chaos import moments
from tests.fixtures import proxies
from tests.fixtures.provider import Provider
from tests.fixtures.proxies import Direction, Proxy

pytestmark = pytest.mark.chaos

QUICK = {"DARKROOM_DATABASE_TIMEOUT": "3", "DARKROOM_BROKER_TIMEOUT": "2", "DARKROOM_STOP_GRACE": "4"}
HEALED_S = 90.0


@pytest.fixture
def database_proxy(local_world: World) -> Iterator[Proxy]:
    """Put a proxy between the nodes and the database; the test itself goes directly."""
    url = local_world.database.url
    with proxies.to(url.host or "127.0.0.1", url.port or 5432) as proxy:
        through = url.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
        local_world.environment = QUICK | {"DARKROOM_DATABASE_URL": through}
        yield proxy


@pytest.fixture
def broker_proxy(broker_url: str) -> Iterator[Proxy]:
    parts = urlsplit(broker_url)
    with proxies.to(parts.hostname or "127.0.0.1", parts.port or 5672) as proxy:
        yield proxy


@pytest.fixture
def behind_broker(
    database_url: str, broker_url: str, broker_proxy: Proxy, tmp_path: Path, sandbox: Provider
) -> Iterator[World]:
    """Yield a Darkroom that reaches each broker in turn through a proxy."""
    parts = urlsplit(broker_url)
    address = f"{parts.hostname}:{parts.port}"
    through = broker_url.replace(address, f"127.0.0.1:{broker_proxy.port}")
    with worlds.opened(database_url, through, tmp_path, sandbox) as opened:
        opened.environment = QUICK
        yield opened


def node_in_mid_run(world: World) -> WorkerNode:
    """Start a node, and return it when some of its jobs have ended and others have not."""
    world.provider.set(**moments.SLOW_ANSWERS)
    node = world.node()
    world.submit(manifests.plain(moments.JOBS))
    moments.in_mid_run(world)
    return node


@pytest.mark.parametrize("direction", Direction)
def test_a_database_that_falls_silent_in_mid_run_costs_no_job(
    direction: Direction, local_world: World, database_proxy: Proxy
) -> None:
    node = node_in_mid_run(local_world)

    database_proxy.fall_silent(direction)
    until(lambda: "did not answer within" in node.words(), "the node sees it", timeout_s=HEALED_S)
    database_proxy.heal()
    local_world.provider.set(**moments.PROMPT_ANSWERS)
    local_world.wait_until_done_in_haste(timeout_s=HEALED_S)

    books.check(local_world)


def test_a_node_ends_within_its_grace_while_the_database_is_silent(local_world: World, database_proxy: Proxy) -> None:
    node = node_in_mid_run(local_world)
    database_proxy.fall_silent()

    node.drain(timeout_s=30)

    assert not node.is_running()


@pytest.mark.parametrize("direction", Direction)
def test_a_broker_that_falls_silent_in_mid_run_costs_no_job(
    direction: Direction, behind_broker: World, broker_proxy: Proxy
) -> None:
    node = node_in_mid_run(behind_broker)

    broker_proxy.fall_silent(direction)
    until(lambda: "broker_unreachable" in node.words() or not node.is_running(), "the node sees it", timeout_s=HEALED_S)
    broker_proxy.heal()
    behind_broker.provider.set(**moments.PROMPT_ANSWERS)
    if not node.is_running():
        behind_broker.node()
    behind_broker.wait_until_done_in_haste(timeout_s=HEALED_S)

    books.check(behind_broker)


def test_a_node_ends_within_its_grace_while_the_broker_is_silent(behind_broker: World, broker_proxy: Proxy) -> None:
    node = node_in_mid_run(behind_broker)
    broker_proxy.fall_silent()

    node.drain(timeout_s=30)

    assert not node.is_running()
