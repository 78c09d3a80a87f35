"""A node serves its metrics and probes, and is ready while it makes progress."""

import signal
import socket

import requests

from tests.acceptance.nodes import WorkerNode, free_address
from tests.acceptance.waiting import until
from tests.acceptance.world import World


def ready(address: str) -> tuple[int, str]:
    answer = requests.get(f"http://{address}/readyz", timeout=10)
    return answer.status_code, answer.json()["status"]


def samples(address: str) -> dict[str, float]:
    text = requests.get(f"http://{address}/metrics", timeout=10).text
    lines = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def test_a_node_counts_its_calls_and_keeps_the_three_clocks(quiet_world: World) -> None:
    address = free_address()
    quiet_world.node(DARKROOM_NODE_METRICS=address)
    quiet_world.submit([{"prompt": f"Chair {number}"} for number in range(3)])
    quiet_world.wait_until_done()

    until(lambda: samples(address).get("darkroom_detection_seconds_count") == 3, "all ends are counted")
    found = samples(address)

    assert found['darkroom_requests_total{operation="create",outcome="ok"}'] == 3
    assert found['darkroom_request_seconds_count{operation="download"}'] == 3
    assert found["darkroom_queue_seconds_count"] == 3
    assert found["darkroom_provider_seconds_count"] == 3
    assert found['darkroom_step_seconds_count{step="submit"}'] == 3
    assert found["darkroom_threads"] == 16
    until(lambda: ready(address) == (200, "ready"), "the node is ready")


def test_a_node_that_drains_is_alive_and_not_ready(quiet_world: World) -> None:
    address = free_address()
    node: WorkerNode = quiet_world.node(DARKROOM_NODE_METRICS=address)
    quiet_world.provider.set(slow_s=20.0)
    quiet_world.provider.script(("create", 1, "slow"))
    quiet_world.submit([{"prompt": "A chair"}])
    until(lambda: quiet_world.count("generation", "state = 'sending'") == 1, "a create is in progress")
    assert samples(address)["darkroom_threads_busy"] >= 1

    node.process.send_signal(signal.SIGTERM)

    until(lambda: ready(address) == (503, "draining"), "the node drains")
    assert requests.get(f"http://{address}/healthz", timeout=10).status_code == 200


def test_a_second_node_on_the_same_address_works_without_metrics(quiet_world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        node = quiet_world.node(DARKROOM_NODE_METRICS=f"127.0.0.1:{taken.getsockname()[1]}")
        quiet_world.submit([{"prompt": "A chair"}])
        quiet_world.wait_until_done()

    assert "node.metrics_not_served" in node.words()
