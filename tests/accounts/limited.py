"""A learned rate against a provider's limit, second by second, without clock or network."""

import math
import random
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from ops.sandbox.limits import Limit
from worker.accounts.rules import learned_rate, pace
from worker.accounts.rules.pace import Pace

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
JITTER_S = 0.01
"""A request leaves up to so much after its slot."""
ANSWER_S = 0.02
LOGGED_S = 0.1
"""So long after an answer it is counted."""
PAUSE = timedelta(milliseconds=20)
"""Between two rounds."""

UNTIL_RESET: Literal["until reset"] = "until reset"
"""A 429 names the whole seconds until its window has room again."""
RetryAfter = float | None | Literal["until reset"]
"""What each 429 names: always the same seconds, nothing, or the truth."""


@dataclass(kw_only=True)
class Run:
    """Requests of a node that always has more to do than slots, with what became of each, in seconds."""

    limit_at: Callable[[float], Limit]
    retry_after_s: RetryAfter
    neighbour_per_s: float = 0.0
    """Requests of another user of the account, at random instants (a Poisson process)."""
    state: Pace = field(
        default_factory=lambda: Pace(
            rate=10.0, is_learned=True, next_slot_at=START, blocked_until=None, throttled_at=None, raised_at=START
        )
    )
    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    neighbours_chance: random.Random = field(default_factory=lambda: random.Random(7))
    neighbours_next_s: float = 0.0

    def share(self, limit: float, since_s: float, until_s: float) -> float:
        """Return how much of the limit was used."""
        return self._count(self.answered, since_s, until_s) / (limit * (until_s - since_s))

    def refusals(self, since_s: float, until_s: float) -> float:
        """Return how many of all requests were refused."""
        refused = self._count(self.refused, since_s, until_s)
        return refused / (refused + self._count(self.answered, since_s, until_s))

    def go_on(self, until_s: float) -> "Run":
        """Do round after round."""
        now = START
        while now < START + timedelta(seconds=until_s):
            slots = self._round(now)
            now = max((now, *slots)) + PAUSE
            if self.state.rate * pace.HORIZON.total_seconds() < 1:
                # Of a low rate most rounds would have no slot to give.
                now = pace.opens_at(self.state, now=now) or now
        return self

    def _round(self, now: datetime) -> tuple[datetime, ...]:
        offer = pace.grant(self.state, now=now, wanted=250)
        self.state = offer.pace
        if offer.slots and learned_rate.has_stretch(self.state, now=now):
            answered = self._count(self.answered, _seconds(self.state.raised_at), _seconds(now))
            self.state = learned_rate.raised(self.state, now=now, answered=answered)
        coming: list[tuple[float, float | None]] = []
        for slot in offer.slots:
            sent_s = _seconds(slot) + self.chance.random() * JITTER_S
            coming = self._hear(coming, sent_s)
            if self.state.blocked_until is None or slot >= self.state.blocked_until:
                coming += self._send(sent_s)
        self._hear(coming, float("inf"))
        return offer.slots

    def _send(self, sent_s: float) -> list[tuple[float, float | None]]:
        """Send one request; gives when its refusal is known, and the wait that it names."""
        self._let_neighbour_send(sent_s)
        reset_s = self.limit_at(sent_s).take(sent_s).wait_s
        if reset_s is None:
            insort(self.answered, sent_s)
            return []
        self.refused.append(sent_s)
        return [(sent_s + ANSWER_S, math.ceil(reset_s) if self.retry_after_s == UNTIL_RESET else self.retry_after_s)]

    def _let_neighbour_send(self, until_s: float) -> None:
        while self.neighbour_per_s and self.neighbours_next_s <= until_s:
            if self.neighbours_next_s:
                self.limit_at(self.neighbours_next_s).take(self.neighbours_next_s)
            self.neighbours_next_s += self.neighbours_chance.expovariate(self.neighbour_per_s)

    def _hear(self, coming: list[tuple[float, float | None]], until_s: float) -> list[tuple[float, float | None]]:
        """Take the refusals that have come in; gives those that have not."""
        for at_s, wait_s in coming:
            if at_s <= until_s:
                retry_after = None if wait_s is None else timedelta(seconds=wait_s)
                now, is_again = START + timedelta(seconds=at_s), self._is_again(at_s)
                since = learned_rate.counted_since(self.state, now=now, is_again=is_again, retry_after=retry_after)
                answered = self._count(self.answered, _seconds(since) - LOGGED_S, at_s - LOGGED_S)
                self.state = learned_rate.throttled(
                    self.state,
                    now=now,
                    retry_after=retry_after,
                    answered=answered,
                    is_again=is_again,
                )
        return [refusal for refusal in coming if refusal[0] > until_s]

    def _is_again(self, at_s: float) -> bool:
        """Return whether nothing was answered since the key was opened."""
        opened = self.state.blocked_until
        return opened is not None and not self._count(self.answered, _seconds(opened), at_s - LOGGED_S)

    def _count(self, times: list[float], since_s: float, until_s: float) -> int:
        return bisect_right(times, until_s) - bisect_left(times, since_s)


def _seconds(instant: datetime) -> float:
    return (instant - START).total_seconds()
