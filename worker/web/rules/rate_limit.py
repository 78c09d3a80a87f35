"""How many requests a client may send in a window of time, counted without a window's edge (GCRA)."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RatePolicy:
    """So many requests in so many seconds; all of them may come at once."""

    quota: int
    window_s: int

    @property
    def header(self) -> str:
        """The policy as ``RateLimit-Policy`` has it (draft-ietf-httpapi-ratelimit-headers-10)."""
        return f'"default";q={self.quota};w={self.window_s}'


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether one more request is permitted, and what is left."""

    is_permitted: bool
    remaining: int
    reset_s: int
    """Seconds until the whole quota is there again; of a refused request, until one is permitted."""

    @property
    def header(self) -> str:
        """The state as ``RateLimit`` has it."""
        return f'"default";r={self.remaining};t={self.reset_s}'


def spend(policy: RatePolicy, busy_until_s: float, *, now_s: float) -> tuple[float, Verdict]:
    """Count one request; return until when the client is busy with what it has sent, and the verdict."""
    interval_s = policy.window_s / policy.quota
    until_s = max(busy_until_s, now_s) + interval_s
    over_s = until_s - now_s - policy.window_s
    if over_s > interval_s * 1e-6:
        return busy_until_s, Verdict(is_permitted=False, remaining=0, reset_s=max(1, math.ceil(over_s)))
    remaining = int((policy.window_s - (until_s - now_s)) / interval_s + 1e-6)
    return until_s, Verdict(is_permitted=True, remaining=remaining, reset_s=math.ceil(until_s - now_s))
