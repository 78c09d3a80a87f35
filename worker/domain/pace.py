"""How many requests may go out, and in which instants: an even stream at one rate."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

HORIZON = timedelta(milliseconds=250)
"""A round of the dispatcher hands out the slots of this much time ahead."""

THROTTLE_WAIT = timedelta(seconds=2)
"""How long a key is closed after a 429 that names no time."""

UNDER = 0.97
"""Of a rate that was set, how much is used: whoever sets it names the provider's limit, and a stream at exactly that
overruns a window of a second as soon as a request travels a little longer than the one after it."""

_SMOOTHING = 0.1
"""How fast the scarcity follows: ten full rounds make it two thirds."""

_PLENTY = 0.01
"""A scarcity below this is none, so that an idle account's row is not written for ever."""


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
    """When a 429 last cut the rate; None when there was none, and the rate still doubles."""
    raised_at: datetime
    """Since when every slot has been taken, as far as that was not looked at yet."""
    refused_rate: float | None = None
    """What is known to be too much, in requests per second; None when nothing is."""


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
    gap = _gap(pace)
    free = max(0, int((now + HORIZON - start) / gap) + 1) if start <= now + HORIZON else 0
    count = min(wanted, free)
    slots = tuple(start + gap * n for n in range(count))
    after = replace(pace, next_slot_at=start + gap * count) if count else pace
    return Grant(slots=slots, pace=after)


def opens_at(pace: Pace, *, now: datetime) -> datetime | None:
    """Return the instant from which a round has a slot to give; None when it is past."""
    slot_at = pace.next_slot_at - HORIZON
    opens = slot_at if pace.blocked_until is None else max(slot_at, pace.blocked_until)
    return opens if opens > now else None


def next_slot(pace: Pace, *, now: datetime) -> Grant | None:
    """Return the next slot that is not given away, however far ahead; None while the key is closed."""
    if pace.blocked_until is not None and now < pace.blocked_until:
        return None
    slot = max(pace.next_slot_at, now)
    return Grant(slots=(slot,), pace=replace(pace, next_slot_at=slot + _gap(pace)))


def _gap(pace: Pace) -> timedelta:
    """Return the time between two slots; a learned rate is under the limit already."""
    return timedelta(seconds=1 / (pace.rate if pace.is_learned else pace.rate * UNDER))


def closed(pace: Pace, *, until: datetime) -> Pace:
    """Let no request out before the instant; a key that is closed for longer stays so."""
    return replace(pace, blocked_until=until if pace.blocked_until is None else max(until, pace.blocked_until))


def scarcer(scarcity: float, *, is_full: bool) -> float:
    """Follow, from 0 to 1, how many of the rounds that had a slot to give had none to spare."""
    after = scarcity + _SMOOTHING * (is_full - scarcity)
    return after if after >= _PLENTY else 0.0
