"""What a test does to a broker from outside: empty it, look into it, and put messages into it by hand."""

from typing import Any

from kombu import Connection
from redis import Redis

from worker.node.app import QUEUES


def is_redis(url: str) -> bool:
    return url.startswith("redis")


def empty(url: str) -> None:
    """Leave nothing in the broker that it could know of Darkroom: no message, no queue, no binding."""
    if is_redis(url):
        with Redis.from_url(url) as server:
            server.flushdb()
        return
    with Connection(url) as connection, _channel(connection) as channel:
        for queue in QUEUES:
            channel.queue_delete(queue)


def purge(url: str) -> None:
    """Lose every message: all of the server's data where that is possible, else what lies in the queues."""
    if is_redis(url):
        empty(url)
        return
    with Connection(url) as connection, _channel(connection) as channel:
        for queue in QUEUES:
            channel.queue_purge(queue)


def delete(url: str, queue: str) -> None:
    """Delete one queue with its messages."""
    if is_redis(url):
        with Redis.from_url(url) as server:
            server.delete(queue)
        return
    with Connection(url) as connection, _channel(connection) as channel:
        channel.queue_delete(queue)


def waiting(url: str, queue: str) -> int:
    """Return how many messages lie in a queue and are with no worker."""
    if is_redis(url):
        with Redis.from_url(url) as server:
            length: Any = server.llen(queue)
            return int(length)
    with Connection(url) as connection, _channel(connection) as channel:
        declared = channel.queue_declare(queue, passive=True)
        return int(declared.message_count)


def is_without_messages(url: str) -> bool:
    """Tell whether no message lies in a queue or is with a worker, as far as the broker tells."""
    if is_redis(url):
        with Redis.from_url(url) as server:
            unacked: Any = server.hlen("unacked")
            return unacked == 0 and all(waiting(url, queue) == 0 for queue in QUEUES)
    return all(waiting(url, queue) == 0 for queue in QUEUES)


def age(url: str) -> None:
    """Let the time pass after which Redis takes a worker's messages for lost; RabbitMQ sees a dead worker at once."""
    if is_redis(url):
        with Redis.from_url(url) as server:
            held: Any = server.zrange("unacked_index", 0, -1)
            for tag in held:
                server.zadd("unacked_index", {tag: 0.0})


def _channel(connection: Connection) -> Any:
    """Open a channel with the methods of AMQP, which kombu's stubs do not have."""
    return connection.channel()
