"""What a schedule of polls costs and how late it notices an end: a simulation without clock or network, and the theory.

Theory: with one fixed interval, mean lag times polls is close to E[T]/2 as the interval goes to nought. The best that
any schedule can do is I squared / 2 with I the integral of sqrt(f * S) over time, f the density and S the survival
function of the latencies (J. B. Keller, Optimum checking schedules for systems subject to random failure, 1974).
"""

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from ops.bench.findings import Finding
from ops.bench.polls import schedules
from ops.bench.polls.schedules import Schedule
from worker.engine.rules.polling import Histogram

MEDIANS_S, SIGMAS = (3.0, 20.0, 60.0), (0.35, 0.8)
SAMPLES, QUICK_SAMPLES = 20_000, 4_000
LESSONS = 1_500
"""Generations that a node has seen before it is measured; its histogram forgets the older ones."""
_STEPS = 20_000
_SEED = 1


@dataclass(frozen=True, kw_only=True)
class Latencies:
    """A log-normal distribution of the seconds from create to end."""

    median_s: float
    sigma: float

    @property
    def mean_s(self) -> float:
        """The expectation."""
        return self.median_s * math.exp(self.sigma**2 / 2)

    def quantiles(self, count: int) -> list[float]:
        """Return so many values that stand for equal shares of the distribution, the same each time."""
        normal = statistics.NormalDist(math.log(self.median_s), self.sigma)
        return [math.exp(normal.inv_cdf((k + 0.5) / count)) for k in range(count)]

    def integral(self) -> float:
        """Return I, the integral of sqrt(f * S), by the trapezoid rule over the logarithm of time."""
        normal = statistics.NormalDist()
        low, high = -9.0, 9.0
        width = (high - low) / _STEPS
        total = 0.0
        for k in range(_STEPS + 1):
            z = low + k * width
            t = self.median_s * math.exp(self.sigma * z)
            density = normal.pdf(z) / (self.sigma * t)
            weight = 0.5 if k in {0, _STEPS} else 1.0
            # cdf(-z) is the survival function without the rounding of 1 - cdf(z); dt = sigma * t * dz.
            total += weight * math.sqrt(density * normal.cdf(-z)) * self.sigma * t * width
        return total

    def least_lag_s(self, polls: float) -> float:
        """Return the least mean lag that any schedule with so many polls on average can have."""
        return self.integral() ** 2 / 2 / polls


@dataclass(frozen=True, kw_only=True)
class Score:
    """How a schedule did."""

    polls: float
    """On average for an image."""
    lag_s: float
    """Mean wait from the end to the poll that saw it."""
    p99_s: float


def score(schedule: Schedule, latencies: Sequence[float]) -> Score:
    """Play the schedule against each latency."""
    polls, lags = 0, []
    for latency_s in latencies:
        count, seen_at_s = play(schedule, latency_s)
        polls += count
        lags.append(seen_at_s - latency_s)
    return Score(
        polls=polls / len(latencies), lag_s=statistics.fmean(lags), p99_s=statistics.quantiles(lags, n=100)[-1]
    )


def play(schedule: Schedule, latency_s: float) -> tuple[int, float]:
    """Return how many polls it took, and the age at the one that saw the end."""
    age_s, polls = 0.0, 0
    while True:
        age_s += schedule(age_s, polls)
        polls += 1
        if age_s >= latency_s:
            return polls, age_s


def taught(latencies: Latencies, *, is_told: bool) -> Histogram:
    """Return what a node knows after many generations that it polled by what it knew.

    ``is_told`` when the provider's answer says how long it took; else only the last two polls are known to enclose it.
    """
    seen, chance = Histogram(), random.Random(_SEED)
    for _ in range(LESSONS):
        latency_s = latencies.median_s * math.exp(chance.gauss(0, latencies.sigma))
        low_s = high_s = latency_s
        if not is_told:
            low_s, high_s = _last_two(schedules.learned(seen), latency_s)
        seen = seen.observe(timedelta(seconds=low_s), timedelta(seconds=high_s))
    return seen


def _last_two(schedule: Schedule, latency_s: float) -> tuple[float, float]:
    age_s, polls = 0.0, 0
    while True:
        before_s = age_s
        age_s += schedule(age_s, polls)
        polls += 1
        if age_s >= latency_s:
            return before_s, age_s


def run(*, is_quick: bool) -> Finding:
    """Compare all schedules for each distribution."""
    rows, figures = [], {}
    for sigma in SIGMAS:
        for median_s in MEDIANS_S:
            latencies = Latencies(median_s=median_s, sigma=sigma)
            found = compare(latencies, samples=QUICK_SAMPLES if is_quick else SAMPLES)
            figures[f"median {median_s:g} s, sigma {sigma:g}"] = found
            rows += [_row(latencies, name, one) for name, one in found.items()]
    return Finding(
        name="polling",
        title="When to poll",
        method=(
            "A simulation: log-normal latencies, requests that take no time. *Documented*: what a node does that has"
            " learned nothing, 2.5 s, then 5 s growing to 10 s. *As often as permitted*: 2.5 s, then every 5 s."
            " *Backoff*: doubling from 2.5 s up to 60 s. *Learned*: worker/engine/rules/polling.py with the same"
            f" documented pace as its floor, after {LESSONS:,} generations; *told* knows how long each took,"
            " *bracketed* only between which polls it ended. *Least lag* is what no schedule with that"
            " many polls can be better than (I²/2, Keller 1974), even one that may poll at any rate."
        ),
        columns=("median", "sigma", "schedule", "polls per image", "mean lag", "p99 lag", "least lag"),
        rows=rows,
        figures=figures,
    )


def compare(latencies: Latencies, *, samples: int) -> dict[str, Score]:
    """Score every schedule against one distribution."""
    values = latencies.quantiles(samples)
    contenders = {
        "documented": schedules.documented,
        "as often as permitted": schedules.constant,
        "backoff": schedules.backoff,
        "fixed 5 s": schedules.fixed(5.0),
        "fixed 10 s": schedules.fixed(10.0),
        "learned, told": schedules.learned(taught(latencies, is_told=True)),
        "learned, bracketed": schedules.learned(taught(latencies, is_told=False)),
        "learned, requests scarce": schedules.learned(taught(latencies, is_told=True), saturation=1.0),
    }
    return {name: score(schedule, values) for name, schedule in contenders.items()}


def _row(latencies: Latencies, name: str, one: Score) -> tuple[str, ...]:
    return (
        f"{latencies.median_s:g} s",
        f"{latencies.sigma:g}",
        name,
        f"{one.polls:.2f}",
        f"{one.lag_s:.2f} s",
        f"{one.p99_s:.2f} s",
        f"{latencies.least_lag_s(one.polls):.2f} s",
    )


if __name__ == "__main__":
    from ops.bench.findings import markdown

    print(markdown(run(is_quick=False)))
