"""A node that no longer hears its broker notices it: messages wait, threads are free, and nothing comes in.

An acknowledgement that fails keeps its place in the prefetch window for ever (kombu 5.7, ``QoS.ack`` of the Redis
transport): after as many as there are threads the consumer lives on and takes nothing. Other nodes take over what this
one was handed; this brings the node itself back.
"""

import os
import threading
from datetime import datetime, timedelta
from typing import Any, NoReturn, assert_never

import structlog
from celery import Celery
from celery.signals import task_postrun, task_prerun
from celery.worker import state

from worker.node.rules.consumer_watchdog import Action, Hearing, judge

log = structlog.get_logger(__name__)

LOOK_EVERY = timedelta(seconds=5)
_FAILURE = 1
_POOL_WAIT_S = 10


class Threads:
    """How many messages the threads of this process have taken, and how many they are at."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self.taken = 0
        self.busy = 0

    def begin(self, **_: object) -> None:
        """Count a message that a thread has taken."""
        with self._lock:
            self.taken += 1
            self.busy += 1

    def end(self, **_: object) -> None:
        """Count a thread that is free again."""
        with self._lock:
            self.busy -= 1


threads = Threads()
task_prerun.connect(threads.begin)
task_postrun.connect(threads.end)


class ConsumerWatchdog:
    """Looks every few seconds whether this node's consumer still takes messages; for one thread."""

    def __init__(self, app: Celery, hub: Any) -> None:
        """``hub`` is the event loop of the consumer."""
        self._app, self._hub = app, hub
        self._hearing = Hearing()
        self._taken = -1
        self._look_at: datetime | None = None

    def look(self, now: datetime) -> None:
        """Look if it is time, and do what is due; raises the broker's connection errors."""
        if self._look_at is not None and now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY
        self._hearing, remedy = judge(self._hearing, is_deaf=self._is_deaf(), now=now)
        if remedy is not None:
            log.error(
                "node.deaf",
                remedy=remedy,
                reason="messages are queued and threads are free, but the consumer receives none",
            )
            self._apply(remedy)

    def _is_deaf(self) -> bool:
        before, self._taken = self._taken, threads.taken
        is_free = threads.busy < self._app.conf.worker_concurrency
        return threads.taken == before and is_free and self._waiting() > 0

    def _waiting(self) -> int:
        """Count the messages that nobody has taken, in the queues that this node consumes."""
        queues = tuple(self._app.amqp.queues.consume_from)
        connection: Any
        with self._app.pool.acquire(block=True, timeout=_POOL_WAIT_S) as connection:
            return sum(_length(connection, name) for name in queues)

    def _apply(self, remedy: Action) -> None:
        match remedy:
            case Action.RECONNECT:
                self._hub.call_soon(_break_off)
            case Action.SHUT_DOWN:
                state.should_stop = _FAILURE  # type: ignore[assignment]  # the stub knows only None
            case Action.EXIT:
                os._exit(_FAILURE)
            case _:
                assert_never(remedy)


def _length(connection: Any, queue: str) -> int:
    try:
        declared = connection.default_channel.queue_declare(queue=queue, passive=True)
    except connection.channel_errors:
        # To kombu's Redis transport a queue without a message does not exist.
        return 0
    count: int = declared.message_count
    return count


def _break_off() -> NoReturn:
    """Let the consumer see a lost connection, which it mends as any other."""
    raise ConnectionResetError("the consumer receives nothing")
