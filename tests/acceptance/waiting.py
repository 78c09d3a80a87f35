"""How a test waits: for a condition, with a deadline, and with a sentence when it does not come."""

import time
from collections.abc import Callable

PATIENCE_S = 60.0
LOOK_EVERY_S = 0.05


class NeverHappened(AssertionError):
    """The deadline passed and the condition did not hold."""


def until(holds: Callable[[], object], what: str, *, timeout_s: float = PATIENCE_S) -> None:
    """Return as soon as the condition holds; fail with the sentence when the time is over."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            raise NeverHappened(f"not within {timeout_s:g} s: {what}")
        time.sleep(LOOK_EVERY_S)
