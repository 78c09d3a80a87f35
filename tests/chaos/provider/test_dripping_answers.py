"""Answers of the provider come byte by byte: each call ends at its one deadline, and none is paid twice."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.acceptance import books, manifests
from tests.acceptance.waiting import until
from tests.acceptance.world import World
from tests.chaos import moments
from tests.fixtures import proxies
from tests.fixtures.proxies import Proxy

pytestmark = pytest.mark.chaos

THREADS = 4
CUT_OFF = "starts_with(error, 'read_timeout: the call took longer than it may')"
DRIPPING_FOR_S = 30.0
"""Far longer than a call of the node may take, and far shorter than an answer that drips to its end."""


@pytest.fixture
def provider_proxy(local_world: World) -> Iterator[Proxy]:
    """Put a proxy between the nodes and the provider."""
    address = urlsplit(local_world.provider.base_url)
    with proxies.to(address.hostname or "127.0.0.1", address.port or 80) as proxy:
        local_world.environment = {"RIVYA_BASE_URL": f"http://127.0.0.1:{proxy.port}"}
        yield proxy


def test_answers_that_drip_hold_no_thread_beyond_the_deadline_and_nothing_is_paid_twice(
    local_world: World, provider_proxy: Proxy
) -> None:
    local_world.provider.set(**moments.SLOW_ANSWERS)
    node = local_world.node(module="tests.chaos.nodes.short_calls_node", DARKROOM_CONCURRENCY=str(THREADS))
    local_world.submit(manifests.plain(moments.JOBS))
    moments.in_mid_run(local_world, creates=THREADS // 2)

    provider_proxy.drip()
    until(lambda: local_world.count("step", CUT_OFF) > THREADS, "threads are free again", timeout_s=DRIPPING_FOR_S)
    provider_proxy.heal()
    local_world.provider.set(**moments.PROMPT_ANSWERS)
    local_world.wait_until_done_in_haste(timeout_s=90)

    assert node.is_running()
    assert local_world.count("job", "state = 'succeeded'") == moments.JOBS
    books.check(local_world)
