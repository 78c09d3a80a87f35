"""References that accept a connection and stay silent hold up nothing but their own messages, which are never lost."""

import json
import socket
from collections.abc import Iterator

import pytest

from tests.acceptance import brokers
from tests.acceptance import world as worlds
from tests.acceptance.waiting import until
from tests.acceptance.world import World
from tests.cli.conftest import run_here
from tests.fixtures.provider import Provider
from tests.node import batches, raw
from tests.node.raw import Message, headers
from worker.node.fetch_stage import AT_ONCE

pytestmark = pytest.mark.acceptance

NEAR_NODE = "tests.node.near_node"
MESSAGES = 24
"""More than a node has threads."""
REFERENCES = 12
JOBS = 10


@pytest.fixture
def own_world(
    broker: str, database_url: str, sandbox: Provider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    with worlds.opened(database_url, broker, tmp_path_factory.mktemp("silent"), sandbox) as opened:
        yield opened


@pytest.fixture
def silent() -> Iterator[str]:
    """Yield the address of a host that accepts every connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as server:
        yield f"https://127.0.0.1:{server.getsockname()[1]}"


def test_jobs_go_on_while_messages_wait_for_silent_references_and_another_node_takes_those_over(
    own_world: World, silent: str
) -> None:
    world = own_world
    killed = world.node(module=NEAR_NODE)
    raw.put(world.broker_url, [_message(f"silent-{n}", silent) for n in range(MESSAGES)])

    until(lambda: brokers.is_without_messages(world.broker_url), "the broker has no message any more")
    batches.send(world, batch={"token": "good"}, requests=[{"prompt": str(n)} for n in range(JOBS)])
    batches.wait_until_rendered(world, "good", JOBS)
    assert world.count("waiting_message") == MESSAGES
    until(lambda: world.count("waiting_message", "tries > 0") == AT_ONCE, "some are worked on")

    killed.kill()
    world.query("UPDATE waiting_message SET due_at = due_at - interval '1 hour'")
    world.node(module=NEAR_NODE, DARKROOM_REFERENCES_TIMEOUT="1s")
    until(lambda: world.count("waiting_message") == 0, "all messages have an outcome", timeout_s=60)

    assert world.count("batch", "state = 'refused' AND token LIKE 'silent-%'") == MESSAGES
    assert world.count("refused_line") == MESSAGES * REFERENCES


def test_a_node_that_ends_gives_back_the_messages_that_it_works_on(quiet_world: World, silent: str) -> None:
    world = quiet_world
    node = world.node(module=NEAR_NODE)
    raw.put(world.broker_url, [_message("silent", silent)])
    until(lambda: world.count("waiting_message", "tries = 1") == 1, "it is worked on")

    assert node.drain(timeout_s=60) == 0

    assert world.count("waiting_message", "tries = 0 AND due_at <= clock_timestamp()") == 1
    assert world.count("batch") == 0


def test_messages_that_wait_for_references_are_shown_and_those_that_wait_for_long_are_a_warning(
    quiet_world: World, silent: str
) -> None:
    world = quiet_world
    node = world.node(module=NEAR_NODE)
    raw.put(world.broker_url, [_message("silent", silent)])
    until(lambda: world.count("waiting_message") == 1, "it waits")
    node.kill()

    status = run_here(world.folder, world.settings, "status")
    recent = _verdict(world)
    world.query("UPDATE waiting_message SET received_at = received_at - interval '1 hour'")

    assert "messages of producers: 1 wait to become batches" in status.stderr
    assert (recent, _verdict(world)) == ("ok", "warning")


def test_the_doctor_names_refused_batches_also_while_messages_wait_for_long(quiet_world: World, silent: str) -> None:
    world = quiet_world
    node = world.node(module=NEAR_NODE)
    raw.put(world.broker_url, [_message("silent", silent)])
    batches.send(world, batch={"token": "wrong"}, requests=[{"prompt": "A mug", "image_size": "huge"}])
    until(lambda: world.count("waiting_message") == 1 and world.count("batch") == 1, "one waits, one is refused")
    node.kill()
    world.query("UPDATE waiting_message SET received_at = received_at - interval '1 hour'")

    found = _finding(world)

    assert "1 wait to become batches" in found["detail"]
    assert "1 batch refused within 7 days" in found["detail"]
    assert "batch.not_yet_enqueued" in found["next_step"]
    assert "`darkroom refused`" in found["next_step"]


def _verdict(world: World) -> str:
    return _finding(world)["verdict"]


def _finding(world: World) -> dict[str, str]:
    found: list[dict[str, str]] = json.loads(run_here(world.folder, world.settings, "doctor", "--json").stdout)[
        "findings"
    ]
    return next(each for each in found if each["part"] == "messages")


def _message(token: str, address: str) -> Message:
    requests = [{"prompt": "A mug", "reference": f"{address}/{token}/{n}.png"} for n in range(REFERENCES)]
    body = json.dumps([[], {"batch": {"token": token}, "requests": requests}, {}])
    return Message(body=body.encode(), headers=headers())
