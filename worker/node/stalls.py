"""A node that makes no progress ends itself: what it holds is leased, and its supervisor starts it again.

Every wait for a socket has a deadline of its own. This is for those that nobody thought of.
"""

import os
import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

FAILURE = 1
_LOOK_S = 1.0


def end_process() -> None:
    """End at once, without waiting for any thread."""
    os._exit(FAILURE)


class StallWatch:
    """Ends the process when a thread that should go round and round has not been heard of for too long."""

    def __init__(
        self, name: str, *, after_s: float, end: Callable[[], None] = end_process, look_s: float = _LOOK_S
    ) -> None:
        """Watch the thread ``name`` from ``start`` on; more than ``after_s`` seconds without a sign is a stall."""
        self._name = name
        self._after_s = after_s
        self._end = end
        self._look_s = look_s
        self._heard_at = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="darkroom-stall-watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self.progress()
        self._thread.start()

    def progress(self) -> None:
        """Note that the thread has gone round once more."""
        self._heard_at = time.monotonic()

    def stop(self) -> None:
        """Watch no longer."""
        self._over.set()

    def _run(self) -> None:
        while not self._over.wait(self._look_s):
            still_s = time.monotonic() - self._heard_at
            if still_s > self._after_s:
                log.critical(
                    "node.stalled",
                    part=self._name,
                    seconds=round(still_s),
                    next_step="the node ends with a failure, to be started again; leases give its work to others",
                )
                self._end()
                return


def end_after(grace_s: float, *, end: Callable[[], None] = end_process) -> threading.Timer:
    """End the process in ``grace_s`` seconds, whatever it waits for by then."""

    def give_up() -> None:
        log.error("node.stop_forced", grace_s=grace_s, reason="it waits for something that does not answer")
        end()

    timer = threading.Timer(grace_s, give_up)
    timer.daemon = True
    timer.start()
    return timer
