"""Messages in queues that no node reads, such as ``darkroom.enqeue``: found in the broker by a near miss of the name.

Redis lists its keys. AMQP cannot list queues, so likely misspellings are asked for one by one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from celery import Celery

from worker.domain import queue_names

log = structlog.get_logger(__name__)

LOOK_EVERY = timedelta(minutes=5)
_POOL_WAIT_S = 10
_SEPARATOR = "\x06\x16"
"""Between a queue's name and a priority in a key of kombu (5.7, Redis transport)."""

_MOST_KEYS = 100_000
"""Keys of a Redis server that are looked at: it may be shared with much else."""


@dataclass(frozen=True, kw_only=True, order=True)
class UnreadQueue:
    """A queue with messages that no node reads."""

    name: str
    messages: int
    meant: str


def find(connection: Any) -> list[UnreadQueue]:
    """Return the queues with messages whose names are near misses; raises the broker's connection errors."""
    lengths: dict[str, int] = {}
    is_redis = connection.transport.driver_type == "redis"
    for name, length in _lists(connection) if is_redis else _declared(connection):
        lengths[name] = lengths.get(name, 0) + length
    found = ((name, length, queue_names.meant(name)) for name, length in lengths.items() if length)
    return sorted(UnreadQueue(name=name, messages=length, meant=meant) for name, length, meant in found if meant)


def _lists(connection: Any) -> Iterator[tuple[str, int]]:
    client = connection.default_channel.client
    for number, key in enumerate(client.scan_iter(count=1_000, _type="list")):
        if number >= _MOST_KEYS:
            return
        name = key.decode("utf-8", "replace").split(_SEPARATOR, 1)[0]
        if queue_names.meant(name):
            yield name, client.llen(key)


def _declared(connection: Any) -> Iterator[tuple[str, int]]:
    for name in queue_names.misspellings():
        # A queue that is not there closes the channel.
        channel = connection.channel()
        try:
            yield name, channel.queue_declare(queue=name, passive=True).message_count
        except connection.channel_errors:
            continue
        finally:
            if channel.is_open:
                channel.close()


class UnreadQueues:
    """Looks every few minutes, and logs what has changed; for one thread."""

    def __init__(self, app: Celery) -> None:
        """Look for the first time at once."""
        self._app = app
        self._look_at: datetime | None = None
        self._known: list[UnreadQueue] = []

    def look(self, now: datetime) -> None:
        """Look if it is time; raises the broker's connection errors."""
        if self._look_at is not None and now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY
        connection: Any
        with self._app.pool.acquire(block=True, timeout=_POOL_WAIT_S) as connection:
            found = find(connection)
        for each in found:
            if each not in self._known:
                log.warning("queue.not_read", queue=each.name, messages=each.messages, did_you_mean=each.meant)
        self._known = found
