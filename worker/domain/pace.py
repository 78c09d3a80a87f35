"""How many requests may go out, and in which instants: an even stream at a learned rate."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

HORIZON = timedelta(milliseconds=250)
"""A round of the dispatcher hands out the slots of this much time ahead."""

THROTTLE_WAIT = timedelta(seconds=2)
"""How long a key is closed after a 429 that names no time."""

FLOOR = 0.2
"""The learned rate never falls below this many requests per second."""

CEILING = 1000.0
"""The learned rate never rises above this many requests per second."""

_SETTLED = timedelta(seconds=5)
"""After a cut the rate stays for this long before it rises again."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The pace of one account, as stored in its row."""

    rate: float
    """Requests per second."""
    is_learned: bool
    """Whether the rate is found by trying (``auto``) or was set by a person."""
    next_slot_at: datetime
    """The first instant that is not yet given away (the theoretical arrival time of GCRA)."""
    blocked_until: datetime | None
    """No request at all before this instant: the provider said so."""
    throttled_at: datetime | None
    """When the last 429 cut the rate; None when there was none, and the rate still doubles."""
    raised_at: datetime
    """When the rate was last raised."""


@dataclass(frozen=True, kw_only=True)
class Grant:
    """The slots of one round, in order, and the pace after it."""

    slots: tuple[datetime, ...]
    pace: Pace


def grant(pace: Pace, *, now: datetime, wanted: int) -> Grant:
    """Give up to ``wanted`` slots between now and the horizon, 1/rate apart; unused time is not saved up."""
    if pace.blocked_until is not None and now < pace.blocked_until:
        return Grant(slots=(), pace=pace)
    start = max(pace.next_slot_at, now)
    gap = timedelta(seconds=1 / pace.rate)
    free = max(0, int((now + HORIZON - start) / gap) + 1) if start <= now + HORIZON else 0
    count = min(wanted, free)
    slots = tuple(start + gap * n for n in range(count))
    after = replace(pace, next_slot_at=start + gap * count) if count else pace
    return Grant(slots=slots, pace=after)


def next_slot(pace: Pace, *, now: datetime) -> Grant | None:
    """Give the next slot that is not given away, however far ahead; None while the key is closed."""
    if pace.blocked_until is not None and now < pace.blocked_until:
        return None
    slot = max(pace.next_slot_at, now)
    return Grant(slots=(slot,), pace=replace(pace, next_slot_at=slot + timedelta(seconds=1 / pace.rate)))


def throttled(pace: Pace, *, now: datetime, retry_after: timedelta | None) -> Pace:
    """Close the key until the provider's time, and halve a learned rate once for a burst of 429s."""
    until = now + (THROTTLE_WAIT if retry_after is None else retry_after)
    blocked = until if pace.blocked_until is None else max(until, pace.blocked_until)
    closed = replace(pace, blocked_until=blocked)
    in_same_burst = pace.throttled_at is not None and now < pace.throttled_at + _SETTLED
    if in_same_burst or not pace.is_learned:
        return closed
    return replace(closed, rate=max(FLOOR, pace.rate / 2), throttled_at=now, raised_at=until)


def raised(pace: Pace, *, now: datetime, is_busy: bool) -> Pace:
    """Raise a learned rate that was used to the full: twofold a second until the first 429, then bit by bit."""
    if not (pace.is_learned and is_busy):
        return replace(pace, raised_at=now) if pace.is_learned else pace
    elapsed = min(max((now - pace.raised_at).total_seconds(), 0.0), 1.0)
    is_searching = pace.throttled_at is None
    rate = pace.rate * 2**elapsed if is_searching else pace.rate + max(0.1, pace.rate * 0.01) * elapsed
    return replace(pace, rate=min(CEILING, rate), raised_at=max(now, pace.raised_at))
