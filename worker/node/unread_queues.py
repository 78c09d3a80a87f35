"""Messages in queues that no node reads, such as ``darkroom.enqeue``: found in the broker by a near miss of the name.

Redis lists its keys. AMQP cannot list queues, so likely misspellings are asked for one by one.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from celery import Celery

from worker.intake.rules import delivery

log = structlog.get_logger(__name__)

LOOK_EVERY = timedelta(minutes=5)
_CONNECT_S = 10
_SEPARATOR = "\x06\x16"
"""Between a queue's name and a priority in a key of kombu (5.7, Redis transport)."""

_KEYS_A_SCAN = 1_000
_MOST_SCANS = 1_000
"""A Redis server may be shared with much else: a million keys are looked at."""


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
    found = ((name, length, delivery.meant(name)) for name, length in lengths.items() if length)
    return sorted(UnreadQueue(name=name, messages=length, meant=meant) for name, length, meant in found if meant)


def _lists(connection: Any) -> Iterator[tuple[str, int]]:
    client = connection.default_channel.client
    cursor = 0
    for _ in range(_MOST_SCANS):
        cursor, keys = client.scan(cursor, count=_KEYS_A_SCAN, _type="list")
        for key in keys:
            name = key.decode("utf-8", "replace").split(_SEPARATOR, 1)[0]
            if delivery.meant(name):
                yield name, client.llen(key)
        if not cursor:
            return


def _declared(connection: Any) -> Iterator[tuple[str, int]]:
    for name in delivery.misspellings():
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
    """A thread that checks for unread queues every few minutes and logs changes."""

    def __init__(self, app: Celery) -> None:
        """Prepare the thread; it is a daemon."""
        self._app = app
        self._known: list[UnreadQueue] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="darkroom-unread-queues", daemon=True)

    def start(self) -> None:
        """Start the thread; the first check runs at once."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not end the thread
                log.warning("queues.not_looked_at", error=str(error) or type(error).__name__)
            self._ended.wait(LOOK_EVERY.total_seconds())

    def look(self) -> None:
        """Check once; raises the broker's connection errors."""
        connection: Any
        # A connection of its own: a look takes dozens of requests.
        with self._app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, timeout=_CONNECT_S)
            found = find(connection)
        for each in found:
            if each not in self._known:
                log.warning("queue.not_read", queue=each.name, messages=each.messages, did_you_mean=each.meant)
        self._known = found
