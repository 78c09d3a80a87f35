"""Rows of the simulation: limits, how they are counted, who else uses them; `python -m tests.accounts.limit_rows`."""

import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

from ops.sandbox.limits import FixedWindow, Limit, SlidingWindow, TokenBucket
from tests.accounts.limited import UNTIL_RESET, RetryAfter, Run

COUNTED: dict[str, Callable[[int, float], Limit]] = {
    "fixed": FixedWindow,
    "sliding": SlidingWindow,
    "bucket": TokenBucket,
}
WAITS: tuple[RetryAfter, ...] = (None, 1.0, 5.0, UNTIL_RESET)
LEARNING_S = 60.0
LIMITS = (
    *((rate, 10.0) for rate in (0.5, 1.0, 2.0)),
    *((rate, window_s) for rate in (5.0, 20.0, 40.0, 100.0) for window_s in (1.0, 10.0)),
)
"""Requests per second, and the seconds over which they are counted."""
NEIGHBOUR = 1 / 3
"""Of the limit, what a neighbour uses."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A provider, and what a node knows of it."""

    rate: float
    """Requests per second that the provider permits."""
    window_s: float
    counted: str
    retry_after_s: RetryAfter = None
    has_neighbour: bool = False
    set_to: float | None = None
    """Of what the neighbour leaves over, the rate that a person has set; None: it is learned."""

    @property
    def left(self) -> float:
        """Return the requests per second that the neighbour leaves over."""
        return self.rate * (1 - NEIGHBOUR) if self.has_neighbour else self.rate

    def measure(self, *, seeds: int = 2) -> "Share":
        """Return the mean of so many runs, from the second minute until about 1,000 requests or ten minutes later."""
        shares = [self._share(seed) for seed in range(1, seeds + 1)]
        return Share(used=sum(s.used for s in shares) / seeds, refused=sum(s.refused for s in shares) / seeds)

    def worst(self, *, seeds: int) -> "Share":
        """Return the least that any of so many runs used, and the most that any had refused."""
        shares = [self._share(seed) for seed in range(1, seeds + 1)]
        return Share(used=min(s.used for s in shares), refused=max(s.refused for s in shares))

    def _share(self, seed: int) -> "Share":
        until_s = LEARNING_S + max(600.0, 1_000 / self.rate)
        run = self._run(seed, until_s)
        return Share(used=run.share(self.left, LEARNING_S, until_s), refused=run.refusals(LEARNING_S, until_s))

    def _run(self, seed: int, until_s: float) -> Run:
        limit = COUNTED[self.counted](round(self.rate * self.window_s), self.window_s)
        run = Run(
            limit_at=lambda _: limit,
            retry_after_s=self.retry_after_s,
            neighbour_per_s=self.rate - self.left,
            chance=random.Random(seed),
            neighbours_chance=random.Random(seed + 100),
        )
        if self.set_to is not None:
            run.state = replace(run.state, is_learned=False, rate=self.left * self.set_to)
        return run.go_on(until_s)


@dataclass(frozen=True, kw_only=True)
class Share:
    """What came of a row."""

    used: float
    """Of what the neighbour leaves over; a bucket that was full at the beginning gives more than all of it."""
    refused: float
    """429s by all requests."""


def table(*, has_neighbour: bool) -> Iterator[str]:
    """Yield a line for each rate, window and setting, in Markdown: the worst of the waits that a 429 may name."""
    sets = (None, 0.6, 0.75, 0.9) if has_neighbour else (None, 1.0)
    yield "| R | window | `DARKROOM_RATE` | " + " | ".join(COUNTED) + " |"
    yield "|---|---|---|" + "---|" * len(COUNTED)
    for (rate, window_s), set_to in product(LIMITS, sets):
        cells = [_cell(rate, window_s, counted, set_to, has_neighbour=has_neighbour) for counted in COUNTED]
        how = "auto" if set_to is None else f"{set_to:.0%} of what is left" if has_neighbour else "R"
        yield f"| {rate:g} | {window_s:g} s | {how} | " + " | ".join(cells) + " |"


def _cell(rate: float, window_s: float, counted: str, set_to: float | None, *, has_neighbour: bool) -> str:
    row = Row(rate=rate, window_s=window_s, counted=counted, has_neighbour=has_neighbour, set_to=set_to)
    shares = [replace(row, retry_after_s=wait).measure() for wait in WAITS]
    return f"{min(s.used for s in shares):.0%}, {max(s.refused for s in shares):.1%}"


if __name__ == "__main__":
    for is_shared in (False, True):
        for line in table(has_neighbour=is_shared):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
