"""How long generations take: a histogram that forgets, learned from answers that came between two polls."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

FIRST_EDGE_S = 0.25
STEPS_PER_DOUBLING = 4
BUCKETS = 64
"""Bucket k reaches from 0.25 s * 2^(k/4) to the next edge; the first also holds all that is shorter. The last ends
after 4.5 hours."""

EDGES_S = (0.0, *(FIRST_EDGE_S * 2 ** (k / STEPS_PER_DOUBLING) for k in range(1, BUCKETS + 1)))
"""Where the buckets begin and end."""

MEMORY = 500
"""Of so many observations the older count less and less: after 350 more, one counts half."""

ENOUGH = 20
"""With fewer observations nothing is known."""


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """Decayed counts of latencies, by bucket."""

    counts: tuple[float, ...] = (0.0,) * BUCKETS

    @property
    def total(self) -> float:
        """How many observations it stands for."""
        return sum(self.counts)

    @property
    def is_known(self) -> bool:
        """Whether it says anything."""
        return self.total >= ENOUGH

    def observe(self, low: timedelta, high: timedelta) -> "Histogram":
        """Count one generation that ended between two ages; its mass is spread over them evenly."""
        kept = [count * (1 - 1 / MEMORY) for count in self.counts]
        start, end = max(low.total_seconds(), 0.0), max(high.total_seconds(), low.total_seconds() + 0.001)
        for k in range(BUCKETS):
            overlap = min(end, _upper(k)) - max(start, _lower(k))
            if overlap > 0:
                kept[k] += overlap / (end - start)
        return Histogram(counts=tuple(kept))

    def quantile(self, share: float) -> timedelta:
        """Give the age by which this share (0 to 1) of the generations has ended."""
        left = share * self.total
        for k, count in enumerate(self.counts):
            if count >= left > 0:
                return timedelta(seconds=_lower(k) + (_upper(k) - _lower(k)) * left / count)
            left -= count
        return timedelta(seconds=_lower(0))

    def hazard(self, age: timedelta) -> float:
        """Give the rate, per second, at which generations of this age end; infinite beyond all that was seen."""
        k = bucket(age)
        width = _upper(k) - _lower(k)
        position = min(max((age.total_seconds() - _lower(k)) / width, 0.0), 1.0)
        surviving = sum(self.counts[k + 1 :]) + self.counts[k] * (1 - position)
        return self.counts[k] / width / surviving if surviving > 0 else math.inf


def merged(older: Histogram, newer: Sequence[tuple[timedelta, timedelta]]) -> Histogram:
    """Add observations, oldest first."""
    for low, high in newer:
        older = older.observe(low, high)
    return older


def bucket(age: timedelta) -> int:
    """Give the bucket in which an age lies."""
    seconds = age.total_seconds()
    if seconds <= FIRST_EDGE_S:
        return 0
    return min(int(math.log2(seconds / FIRST_EDGE_S) * STEPS_PER_DOUBLING), BUCKETS - 1)


def _lower(k: int) -> float:
    return EDGES_S[k]


def _upper(k: int) -> float:
    return EDGES_S[k + 1]
