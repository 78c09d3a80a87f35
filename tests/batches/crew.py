"""Several nodes that work at the same time, each in a thread, until none of them finds anything more to do."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from tests.pipeline.node import Clock, Node

STEP = timedelta(milliseconds=250)
"""How far one idle look moves the clock; far less than any lease, for others may be in the middle of a call."""
QUIET = 12
ROUNDS = 20_000


class SharedClock(Clock):
    """A moved clock that several threads may move; it never goes back."""

    def __init__(self, now: datetime) -> None:
        self._lock = threading.Lock()
        self._now = now

    @property
    def now(self) -> datetime:
        return self._now

    @now.setter
    def now(self, value: datetime) -> None:
        with self._lock:
            self._now = max(self._now, value)

    def advance(self, span: timedelta) -> None:
        with self._lock:
            self._now += span


def work(nodes: Sequence[Node]) -> None:
    """Let all nodes work at once until each has looked often and in vain, with no step left."""
    barrier = threading.Barrier(len(nodes))

    def loop(node: Node) -> None:
        barrier.wait(timeout=20)
        quiet = 0
        for _ in range(ROUNDS):
            is_idle = not node.round().tickets and not node.query("SELECT 1 FROM step LIMIT 1")
            quiet = quiet + 1 if is_idle else 0
            if quiet == QUIET:
                return
            node.clock.advance(STEP if is_idle else STEP / 5)
        raise AssertionError(f"still busy after {ROUNDS} rounds")

    with ThreadPoolExecutor(len(nodes)) as pool:
        list(pool.map(loop, nodes))
