"""Restart a consumer that stopped receiving: messages wait, threads are free, and none is delivered.

An acknowledgement that fails keeps its place in the prefetch window for ever (kombu 5.7, ``QoS.ack`` of the Redis
transport): after as many as there are threads the consumer lives on and takes nothing. Other nodes take over what this
one was handed; this brings the node itself back.
"""

import os
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NoReturn, assert_never

import structlog
from celery import Celery
from celery.signals import task_postrun, task_prerun
from celery.worker import state

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
        self.taken_at_s: float | None = None
        """When the last was taken, by the monotonic clock."""

    def begin(self, **_: object) -> None:
        """Count a message that a thread has taken."""
        with self._lock:
            self.taken += 1
            self.busy += 1
            self.taken_at_s = time.monotonic()

    def end(self, **_: object) -> None:
        """Count a thread as free again."""
        with self._lock:
            self.busy -= 1


threads = Threads()
task_prerun.connect(threads.begin)
task_postrun.connect(threads.end)


class Action(StrEnum):
    """What is done about a node that receives nothing, the mildest action first."""

    RECONNECT = "reconnect"
    """Its consumer connects anew; what it is working on goes on."""
    SHUT_DOWN = "shut_down"
    """It finishes what it has begun and ends with a failure, so that its supervisor starts it again."""
    EXIT = "exit"
    """It ends at once: leases give what it was working on to others."""


class ConsumerWatchdog:
    """Checks every few seconds whether this node's consumer still receives messages; thread-safe."""

    def __init__(self, app: Celery, hub: Any) -> None:
        """``hub`` is the event loop of the consumer."""
        self._app, self._hub = app, hub
        self._stall = Stall()
        self._taken = -1
        self._look_at: datetime | None = None
        self._looking = threading.Lock()

    def look(self, now: datetime) -> None:
        """Check the consumer if it is time, and take the action that is due; raises the broker's connection errors."""
        if not self._looking.acquire(blocking=False):
            return
        try:
            self._look(now)
        finally:
            self._looking.release()

    def _look(self, now: datetime) -> None:
        if self._look_at is not None and now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY
        self._stall, action = judge(self._stall, is_stalled=self._is_stalled(), now=now)
        if action is not None:
            log.error(
                "node.consumer_stalled",
                action=action,
                reason="messages are queued and threads are free, but the consumer receives none",
            )
            self._apply(action)

    def _is_stalled(self) -> bool:
        before, self._taken = self._taken, threads.taken
        is_free = threads.busy < self._app.conf.worker_concurrency
        return threads.taken == before and is_free and self._waiting() > 0

    def _waiting(self) -> int:
        """Count the undelivered messages in the queues that this node consumes."""
        queues = tuple(self._app.amqp.queues.consume_from)
        connection: Any
        with self._app.pool.acquire(block=True, timeout=_POOL_WAIT_S) as connection:
            return sum(_length(connection, name) for name in queues)

    def _apply(self, action: Action) -> None:
        match action:
            case Action.RECONNECT:
                self._hub.call_soon(_break_off)
            case Action.SHUT_DOWN:
                state.should_stop = _FAILURE  # type: ignore[assignment]  # the stub knows only None
            case Action.EXIT:
                os._exit(_FAILURE)
            case _:
                assert_never(action)


def _length(connection: Any, queue: str) -> int:
    try:
        declared = connection.default_channel.queue_declare(queue=queue, passive=True)
    except connection.channel_errors:
        # To kombu's Redis transport a queue without a message does not exist.
        return 0
    count: int = declared.message_count
    return count


def _break_off() -> NoReturn:
    """Let the consumer see a lost connection, and reconnect as after any other."""
    raise ConnectionResetError("the consumer receives nothing")


GRACE_PERIOD = timedelta(seconds=20)
"""How long messages may wait beside free threads; a broker that is heard hands them over in milliseconds."""


@dataclass(frozen=True, kw_only=True)
class Stall:
    """Since when nothing was received although messages wait, and how many actions were tried."""

    since: datetime | None = None
    tried: int = 0


def judge(before: Stall, *, is_stalled: bool, now: datetime) -> tuple[Stall, Action | None]:
    """Return the stall after a check, and the action that is due, if any; each has the whole grace period to work."""
    if not is_stalled:
        return Stall(), None
    if before.since is None:
        return Stall(since=now, tried=before.tried), None
    if now < before.since + GRACE_PERIOD:
        return before, None
    actions = tuple(Action)
    action = actions[min(before.tried, len(actions) - 1)]
    return Stall(since=now, tried=before.tried + 1), action
