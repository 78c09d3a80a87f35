"""A producer with the permissions that the document names can enqueue, and can do nothing else in the broker."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from uuid import uuid4

import amqp
import pytest
from redis import Redis
from redis.exceptions import NoPermissionError

from tests.acceptance import brokers
from tests.acceptance.world import World
from tests.node import batches, document, raw

pytestmark = pytest.mark.acceptance

PASSWORD = "of-a-producer"


@pytest.fixture(scope="module")
def restricted(world: World) -> Iterator[World]:
    """Yield the world as a producer sees it whose user has only the permissions of the document."""
    name = f"shop-{uuid4()}"
    with_user = redis_user if brokers.is_redis(world.broker_url) else rabbitmq_user
    yield from with_user(world, name)


def redis_user(world: World, name: str) -> Iterator[World]:
    rules = document.block("acl").split()
    assert rules[:3] == ["ACL", "SETUSER", "shop"]
    with Redis.from_url(world.broker_url) as server:
        server.execute_command("ACL", "SETUSER", name, *[rule.replace("PASSWORD", PASSWORD) for rule in rules[3:]])
        try:
            yield replace(world, broker_url=as_user(world.broker_url, name))
        finally:
            server.execute_command("ACL", "DELUSER", name)


def rabbitmq_user(world: World, name: str) -> Iterator[World]:
    has_command = "DARKROOM_TEST_RABBITMQCTL" in os.environ or shutil.which("rabbitmqctl") is not None
    if not has_command or rabbitmqctl("status").returncode != 0:
        pytest.skip("users of this RabbitMQ cannot be made here")
    vhost = unquote(urlsplit(world.broker_url).path[1:]) or "/"
    permissions = document.block("permissions").split()
    assert permissions[:5] == ["rabbitmqctl", "set_permissions", "-p", "VHOST", "shop"]
    assert rabbitmqctl("add_user", name, PASSWORD).returncode == 0
    try:
        patterns = [each.strip("'\"") for each in permissions[5:]]
        assert rabbitmqctl("set_permissions", "-p", vhost, name, *patterns).returncode == 0
        yield replace(world, broker_url=as_user(world.broker_url, name))
    finally:
        rabbitmqctl("delete_user", name)


def rabbitmqctl(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    """Control the broker under test: the one of this machine, or that of ``DARKROOM_TEST_RABBITMQCTL``."""
    command = shlex.split(os.environ.get("DARKROOM_TEST_RABBITMQCTL", "rabbitmqctl"))
    return subprocess.run([*command, "-q", *arguments], capture_output=True, timeout=60, check=False)


def as_user(url: str, name: str) -> str:
    parts = urlsplit(url)
    place = f"{name}:{quote(PASSWORD)}@{parts.hostname}:{parts.port}"
    return urlunsplit(parts._replace(netloc=place))


def test_a_restricted_producer_can_enqueue_with_celery(restricted: World) -> None:
    sent = document.run(restricted, "restricted")

    assert sent.stderr == ""
    assert batches.taken(restricted, "order-4714")["state"] == "open"


@pytest.mark.parametrize(
    "attempt",
    [
        lambda server: server.lpush("darkroom.maintenance", b"[]"),
        lambda server: server.rpop(raw.ENQUEUE),
        lambda server: server.lrange(raw.ENQUEUE, 0, -1),
        lambda server: server.delete(raw.ENQUEUE),
        lambda server: server.hgetall("unacked"),
        lambda server: server.publish("/0.celery.pidbox", b"{}"),
        lambda server: server.sadd("_kombu.binding.darkroom.enqueue", b"x"),
        lambda server: server.keys("*"),
        lambda server: server.flushdb(),
        lambda server: server.config_get("*"),
    ],
    ids=["send elsewhere", "take", "read", "delete", "unacked", "control", "bind", "keys", "flush", "config"],
)
def test_a_restricted_user_of_redis_can_do_nothing_else(restricted: World, attempt: Callable[[Redis], object]) -> None:
    if not brokers.is_redis(restricted.broker_url):
        pytest.skip("a user of Redis")

    with Redis.from_url(restricted.broker_url) as server, pytest.raises(NoPermissionError):
        attempt(server)


def published(channel: amqp.Channel, exchange: str, routing_key: str) -> None:
    channel.confirm_select()
    channel.basic_publish_confirm(amqp.Message(b"[]"), exchange=exchange, routing_key=routing_key)


@pytest.mark.parametrize(
    "attempt",
    [
        lambda channel: published(channel, "", "darkroom.maintenance"),
        lambda channel: published(channel, "darkroom.maintenance", "darkroom.maintenance"),
        lambda channel: published(channel, "celery.pidbox", ""),
        lambda channel: channel.basic_get(raw.ENQUEUE),
        lambda channel: channel.basic_consume(raw.ENQUEUE),
        lambda channel: channel.queue_purge(raw.ENQUEUE),
        lambda channel: channel.queue_delete(raw.ENQUEUE),
        lambda channel: channel.queue_declare("elsewhere"),
        lambda channel: channel.queue_bind(raw.ENQUEUE, "darkroom.maintenance", "x"),
        lambda channel: channel.exchange_delete(raw.ENQUEUE),
    ],
    ids=["default", "elsewhere", "control", "get", "consume", "purge", "delete", "declare", "bind", "no exchange"],
)
def test_a_restricted_user_of_rabbitmq_can_do_nothing_else(
    restricted: World, attempt: Callable[[amqp.Channel], object]
) -> None:
    if brokers.is_redis(restricted.broker_url):
        pytest.skip("a user of RabbitMQ")
    address = urlsplit(restricted.broker_url)

    with (
        amqp.Connection(
            f"{address.hostname}:{address.port}",
            userid=str(address.username),
            password=str(address.password),
            virtual_host=unquote(address.path[1:]) or "/",
        ) as connection,
        pytest.raises(amqp.AccessRefused),
    ):
        attempt(connection.channel())
