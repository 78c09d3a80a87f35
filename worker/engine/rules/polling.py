"""When to ask the provider about a generation again: learned from a histogram of latencies that forgets."""

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
_KERNEL = ((-1, 0.25), (0, 0.5), (1, 0.25))
"""A generation that ended in one bucket could as well have ended in the next: a gap between a few is chance."""
_DOUBT = 3.0
"""Prior observations, spread over ``_PLAUSIBLE``: after few real ones much else is possible."""
_PLAUSIBLE = range(8, 48)
"""The buckets from a second to a quarter of an hour."""


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """Decayed counts of latencies, by bucket."""

    counts: tuple[float, ...] = (0.0,) * BUCKETS

    @property
    def total(self) -> float:
        """The number of observations that it counts."""
        return sum(self.counts)

    @property
    def is_known(self) -> bool:
        """Whether it says anything."""
        return self.total >= ENOUGH

    def observe(self, low: timedelta, high: timedelta) -> "Histogram":
        """Count one generation that ended between two ages; its mass is spread over them evenly."""
        kept = list(self.decayed().counts)
        start, end = max(low.total_seconds(), 0.0), max(high.total_seconds(), low.total_seconds() + 0.001)
        for k in range(BUCKETS):
            overlap = min(end, _upper(k)) - max(start, _lower(k))
            if overlap > 0:
                kept[k] += overlap / (end - start)
        return Histogram(counts=tuple(kept))

    def decayed(self) -> "Histogram":
        """Forget as much as with each observation."""
        return Histogram(counts=tuple(count * (1 - 1 / MEMORY) for count in self.counts))

    def quantile(self, share: float) -> timedelta:
        """Return the age by which this share (0 to 1) of the generations has ended."""
        left = share * self.total
        for k, count in enumerate(self.counts):
            if count >= left > 0:
                return timedelta(seconds=_lower(k) + (_upper(k) - _lower(k)) * left / count)
            left -= count
        return timedelta(seconds=_lower(0))

    def smoothed(self) -> "Histogram":
        """Return what may be expected of further generations, from what was seen and what is always possible."""
        counts = [_DOUBT / len(_PLAUSIBLE) if k in _PLAUSIBLE else 0.0 for k in range(BUCKETS)]
        for k, count in enumerate(self.counts):
            for offset, share in _KERNEL:
                counts[min(max(k + offset, 0), BUCKETS - 1)] += share * count
        return Histogram(counts=tuple(counts))

    def gap(self, age: timedelta, *, detection_lag_s: float) -> timedelta:
        """Return the time after which a generation of this age has on average been ended for so many seconds.

        That is the gap over which (F(u) - F(age)) / S(age) has this integral, F the share that has ended by an age and
        S the share that has not; ``timedelta.max`` when it is never reached, or beyond all that was seen.
        """
        first, since_s = bucket(age), age.total_seconds()
        surviving = sum(self.counts[first + 1 :]) + self.counts[first] * _share_left(first, since_s)
        if surviving <= 0:
            return timedelta.max
        waited_s, ended, at_s = 0.0, 0.0, since_s
        for k in range(first, BUCKETS):
            density = self.counts[k] / (_upper(k) - _lower(k)) / surviving
            span_s = max(_upper(k) - at_s, 0.0)
            whole_s = waited_s + ended * span_s + density * span_s**2 / 2
            if whole_s >= detection_lag_s:
                return timedelta(seconds=at_s - since_s + _reach(ended, density, detection_lag_s - waited_s))
            waited_s, ended, at_s = whole_s, ended + density * span_s, at_s + span_s
        return timedelta.max


def merged(older: Histogram, newer: Sequence[tuple[timedelta, timedelta]]) -> Histogram:
    """Add observations, oldest first."""
    for low, high in newer:
        older = older.observe(low, high)
    return older


def bucket(age: timedelta) -> int:
    """Return the bucket in which an age lies."""
    seconds = age.total_seconds()
    if seconds <= FIRST_EDGE_S:
        return 0
    return min(int(math.log2(seconds / FIRST_EDGE_S) * STEPS_PER_DOUBLING), BUCKETS - 1)


def _share_left(k: int, age_s: float) -> float:
    """Return how much of a bucket lies behind an age in it."""
    return min(max((_upper(k) - age_s) / (_upper(k) - _lower(k)), 0.0), 1.0)


def _reach(ended: float, density: float, wait_s: float) -> float:
    """Solve ended * x + density * x^2 / 2 = wait_s, in the form that does not cancel out."""
    return 2 * wait_s / (ended + math.sqrt(ended**2 + 2 * density * wait_s)) if wait_s > 0 else 0.0


def _lower(k: int) -> float:
    return EDGES_S[k]


def _upper(k: int) -> float:
    return EDGES_S[k + 1]


OVERDUE_AFTER = timedelta(minutes=15)
"""From this age on a generation is overdue: it is asked about rarely, and reported."""
DOUBT_AFTER = timedelta(days=1)
"""From this age on no answer is expected any more."""
YOUNG = timedelta(minutes=1)
"""Up to this age an unknown id may be one that the provider has not yet made visible."""
LONGEST_GAP = timedelta(minutes=1)
"""No generation is left alone for longer, however rarely they end at its age."""


@dataclass(frozen=True, kw_only=True)
class PollSchedule:
    """The provider's documented pace: first after 2 to 3 s, then every 5 to 10 s (api-generation-status)."""

    first: timedelta
    gap: timedelta

    def wait(self, *, age: timedelta, polls: int) -> timedelta:
        """Return the wait before the next poll of a generation that is ``age`` old and was polled so often.

        The gap grows from the documented lower to the documented upper pace, and to a minute once overdue.
        """
        if polls == 0:
            return self.first
        if age >= OVERDUE_AFTER:
            return max(self.gap, LONGEST_GAP)
        return min(self.gap * (1 + max(0, polls - 2) / 6), self.gap * 2)


@dataclass(frozen=True, kw_only=True)
class LearnedSchedule:
    """Polls where generations are known to end, never faster than documented.

    The first poll comes when a sixth has ended. After it the gap balances the cost of a poll against the wait for an
    end that was not observed: the next poll comes when that wait, by what is known of all ages to come, is ``c``
    seconds on average. Where the hazard rate ``h`` changes slowly that is ``gap(t) = sqrt(2c / h(t))`` (Keller 1974,
    optimum checking schedules); where nothing ends for a while it is soon after the next age at which something does.
    When requests are scarce a poll costs more: every poll saved is an image made.
    """

    documented: PollSchedule
    seen: Histogram
    saturation: float = 0.0
    """From 0, every request finds a slot, to 1, all wait for one."""

    @property
    def detection_lag_s(self) -> float:
        """Return the price of a poll: the seconds of detection lag that are accepted to save one."""
        return 0.3 + 3.0 * self.saturation

    def wait(self, *, age: timedelta, polls: int) -> timedelta:
        """Return the wait before the next poll of a generation that is ``age`` old and was polled so often."""
        if not self.seen.is_known or age >= OVERDUE_AFTER:
            return self.documented.wait(age=age, polls=polls)
        expected = self.seen.smoothed()
        first = expected.quantile(0.16 + 0.71 * self.saturation)
        if polls == 0 or age < first:
            return min(max(self.documented.first if polls == 0 else self.documented.gap, first - age), LONGEST_GAP)
        gap = expected.gap(age, detection_lag_s=self.detection_lag_s)
        return max(self.documented.gap, min(gap, LONGEST_GAP))
