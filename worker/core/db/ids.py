"""UUIDv7 ids by a clock that is given, each greater than the one before it from this process."""

import threading
from collections.abc import Callable
from random import SystemRandom
from uuid import UUID

_RANDOM_BITS = 74
"""Of a UUIDv7, beside 48 bits of time, 4 of version and 2 of variant (RFC 9562, 5.7)."""

_GAP_BITS = 32
"""Two ids of one millisecond are at most so far apart (RFC 9562, 6.2)."""

_MOST_BACK_MS = 10_000
"""A clock that goes back by more was set, and is followed; by less, the ids go on where they were."""

_LOW = (1 << 62) - 1

_CHANCE = SystemRandom()


class TimeOrderedIds:
    """Makes ids; for any thread."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        """``now_s`` gives seconds since 1970."""
        self._now_s = now_s
        self._lock = threading.Lock()
        self._ms, self._random = 0, 0

    def __call__(self) -> UUID:
        """Return a new id."""
        ms = int(self._now_s() * 1000)
        with self._lock:
            if ms > self._ms or ms < self._ms - _MOST_BACK_MS:
                # The highest bit is left free, so that a millisecond has room for its ids.
                self._ms, self._random = ms, _CHANCE.getrandbits(_RANDOM_BITS - 1)
            else:
                self._random += 1 + _CHANCE.getrandbits(_GAP_BITS)
            ms, rest = self._ms, self._random
        return UUID(int=ms << 80 | 7 << 76 | (rest >> 62 & 0xFFF) << 64 | 2 << 62 | rest & _LOW)
