"""Whether a key may send one more request in its current window."""

import math
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from ops.sandbox.choices import RateAlgorithm
from ops.sandbox.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How many requests are left, and how many seconds to wait when this one was too many."""

    left: int
    reset_s: float
    """From now until there is room for more requests, or for one if none is left."""
    is_refused: bool = False

    @property
    def wait_s(self) -> float | None:
        """Return the seconds to wait; None when the request was not too many."""
        return self.reset_s if self.is_refused else None


class Limit(Protocol):
    """One key's count of requests."""

    def take(self, now: float) -> Verdict:
        """One more request at this moment; a refused one does not count."""


class FixedWindow:
    """So many requests between two ticks of the window's length."""

    def __init__(self, limit: int, window_s: float) -> None:
        self._limit, self._window_s = limit, window_s
        self._window, self._used = -1, 0

    def take(self, now: float) -> Verdict:
        """One more request at this moment; a refused one does not count."""
        window = math.floor(now / self._window_s)
        if window != self._window:
            self._window, self._used = window, 0
        reset_s = (window + 1) * self._window_s - now
        if self._used >= self._limit:
            return Verdict(left=0, reset_s=reset_s, is_refused=True)
        self._used += 1
        return Verdict(left=self._limit - self._used, reset_s=reset_s)


class SlidingWindow:
    """So many requests in any stretch of the window's length."""

    def __init__(self, limit: int, window_s: float) -> None:
        self._limit, self._window_s = limit, window_s
        self._times: deque[float] = deque()

    def take(self, now: float) -> Verdict:
        """One more request at this moment; a refused one does not count."""
        while self._times and self._times[0] <= now - self._window_s:
            self._times.popleft()
        if len(self._times) >= self._limit:
            return Verdict(left=0, reset_s=self._times[0] + self._window_s - now, is_refused=True)
        self._times.append(now)
        return Verdict(left=self._limit - len(self._times), reset_s=self._times[0] + self._window_s - now)


class TokenBucket:
    """A bucket of one window's requests that refills evenly."""

    def __init__(self, limit: int, window_s: float) -> None:
        self._limit, self._per_s = limit, limit / window_s
        self._tokens, self._at = float(limit), 0.0

    def take(self, now: float) -> Verdict:
        """One more request at this moment; a refused one does not count."""
        self._tokens = min(self._limit, self._tokens + max(0.0, now - self._at) * self._per_s)
        self._at = now
        if self._tokens < 1:
            return Verdict(left=0, reset_s=(1 - self._tokens) / self._per_s, is_refused=True)
        self._tokens -= 1
        return Verdict(left=int(self._tokens), reset_s=max(0.0, (1 - self._tokens) / self._per_s))


_BY_NAME: dict[RateAlgorithm, type[FixedWindow | SlidingWindow | TokenBucket]] = {
    RateAlgorithm.FIXED_WINDOW: FixedWindow,
    RateAlgorithm.SLIDING_WINDOW: SlidingWindow,
    RateAlgorithm.TOKEN_BUCKET: TokenBucket,
}


class Limits:
    """The counts of all keys; a change of the rate's settings starts them anew."""

    def __init__(self) -> None:
        self._rule: tuple[object, ...] = ()
        self._limits: dict[str, Limit] = {}

    def take(self, who: str, now: float, settings: Settings) -> Verdict:
        """One more request of this key at this moment."""
        rule = (settings.rate_algorithm, settings.rate_limit, settings.rate_window_s)
        if rule != self._rule:
            self._rule, self._limits = rule, {}
        if who not in self._limits:
            self._limits[who] = _BY_NAME[settings.rate_algorithm](settings.rate_limit, settings.rate_window_s)
        return self._limits[who].take(now)
