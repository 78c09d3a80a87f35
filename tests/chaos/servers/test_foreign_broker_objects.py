"""Redis keys of the wrong type, RabbitMQ queues declared with other arguments, and brokers that refuse commands."""

import contextlib
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

import amqp
import pytest
from redis import Redis

from tests.acceptance import books, brokers, manifests
from tests.acceptance.waiting import until
from tests.acceptance.world import World
from tests.chaos.conftest import OwnServices

pytestmark = pytest.mark.chaos

JOBS = 4
FOREIGN_KEYS = (
    "darkroom.enqueue",
    "darkroom.submit",
    "unacked",
    "unacked_index",
    "_kombu.binding.darkroom.submit",
    "_kombu.binding.celery.pidbox",
)


@pytest.mark.parametrize("nodes", [1, 0])
def test_keys_of_another_type_in_redis_are_set_aside_and_the_node_goes_on(local_world: World, nodes: int) -> None:
    running = [local_world.node() for _ in range(nodes)]
    with Redis.from_url(local_world.broker_url) as server:
        for key in FOREIGN_KEYS:
            server.delete(key)
            server.set(key, "someone else's")
        server.sadd("_kombu.binding.darkroom.poll", "no binding", b"\xff\xfe")
    node = running[0] if running else local_world.node()

    local_world.submit(manifests.plain(JOBS))
    local_world.wait_until_done_in_haste()

    books.check(local_world)
    assert node.is_running()
    assert node.words().count("broker.key_set_aside") >= len(FOREIGN_KEYS) - 2


REFUSALS: dict[str, tuple[tuple[object, ...], tuple[object, ...]]] = {
    "a replica that only reads": (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    "a server without memory": (("CONFIG", "SET", "maxmemory", 1), ("CONFIG", "SET", "maxmemory", 0)),
    "a user without rights": (("ACL", "SETUSER", "default", "-@write"), ("ACL", "SETUSER", "default", "+@all")),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_redis_that_refuses_commands_for_a_while_ends_no_node(own_services: OwnServices, case: str) -> None:
    world, (begin, end) = own_services.world, REFUSALS[case]
    node = world.node()

    with Redis.from_url(world.broker_url, single_connection_client=True) as server:
        server.execute_command(*begin)
        world.submit(manifests.plain(JOBS))
        until(lambda: "broker_unreachable" in node.words(), "the dispatcher meets the refusal")
        server.execute_command(*end)
    world.wait_until_done_in_haste()

    books.check(world)
    assert node.is_running()


Declare = Callable[[Any], None]

DECLARED: dict[str, Declare] = {
    "a queue with priorities": lambda channel: channel.queue_declare(
        "darkroom.submit", durable=True, auto_delete=False, arguments={"x-max-priority": 10}
    ),
    "an exchange of another type": lambda channel: channel.exchange_declare(
        "darkroom.submit", "fanout", durable=True, auto_delete=False
    ),
}


@pytest.mark.parametrize("case", DECLARED)
def test_what_was_declared_otherwise_in_rabbitmq_is_used_as_it_is(world: World, case: str) -> None:
    if brokers.is_redis(world.broker_url):
        pytest.skip("Redis has nothing to declare")
    forget(world.broker_url)
    on_channel(world.broker_url, DECLARED[case])

    node = world.node()
    world.submit(manifests.plain(JOBS))
    world.wait_until_done()
    forget(world.broker_url)

    books.check(world)
    assert "broker.declared_otherwise" in node.words()


def forget(url: str) -> None:
    """Delete the queue and the exchange of submits."""
    on_channel(url, lambda channel: channel.queue_delete("darkroom.submit"))
    on_channel(url, lambda channel: channel.exchange_delete("darkroom.submit"))


def on_channel(url: str, act: Declare) -> None:
    address = urlsplit(url)
    channel: Any
    with (
        amqp.Connection(
            f"{address.hostname}:{address.port or 5672}",
            userid=address.username or "guest",
            password=address.password or "guest",
            virtual_host=unquote(address.path[1:]) or "/",
        ) as connection,
        contextlib.closing(connection.channel()) as channel,
    ):
        act(channel)
