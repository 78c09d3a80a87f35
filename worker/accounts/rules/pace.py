"""When requests may go out, in an even stream at one rate, and how many credits of the wallet may be committed."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

HORIZON = timedelta(milliseconds=250)
"""A round of the dispatcher hands out the slots of this much time ahead."""
LEAD = timedelta(milliseconds=100)
"""Where slots are further apart than the horizon, the next is handed out only so long before it begins: what comes due
meanwhile, such as a poll that a webhook brings forward, can still have it. A message travels for less."""
THROTTLE_WAIT = timedelta(seconds=2)
"""How long a key is closed after a 429 that names no time."""
SHORTEST_CLOSING = timedelta(seconds=1)
"""How long a key is closed at the least, whatever the provider says: ``Retry-After: 0`` is no wait at all."""
LONGEST_GROWN = timedelta(minutes=1)
"""The longest wait that comes from doubling; the provider may name a longer one."""
PROBED_AFTER = timedelta(minutes=1)
"""After a run of refusals for so long, one request goes out first and the others wait for ``PROBE_WAIT``."""
PROBE_WAIT = timedelta(seconds=5)
"""Long enough for the answer to most requests."""
UNDER = 0.97
"""Of a rate that was set, how much is used: what is set is the provider's limit, and a stream at exactly that
overruns a window of a second as soon as a request travels a little longer than the one after it."""
_SMOOTHING = 0.1
"""How fast the saturation follows: ten full rounds make it two thirds."""
_PLENTY = 0.01
"""A saturation below this is none, so that an idle account's row is not written for ever."""


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
    closed_at: datetime | None = None
    """When a 429 closed the key, the first of a run of them; None when none did, or it is not known."""

    @property
    def closing(self) -> timedelta:
        """How long the last run of refusals was, to the end of the last wait."""
        if self.blocked_until is None or self.closed_at is None:
            return timedelta(0)
        return self.blocked_until - self.closed_at


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
    ends_at = now + _horizon(gap)
    free = max(0, int((ends_at - start) / gap) + 1) if start <= ends_at else 0
    count = min(wanted, free)
    slots = tuple(start + gap * n for n in range(count))
    after = replace(pace, next_slot_at=start + gap * count) if count else pace
    return Grant(slots=slots, pace=after)


def opens_at(pace: Pace, *, now: datetime) -> datetime | None:
    """Return the instant from which a round has a slot to give; None when it is past."""
    slot_at = pace.next_slot_at - _horizon(_gap(pace))
    opens = slot_at if pace.blocked_until is None else max(slot_at, pace.blocked_until)
    return opens if opens > now else None


def next_slot(pace: Pace, *, now: datetime) -> Grant | None:
    """Return the next free slot, however far in the future; None while the key is closed."""
    if pace.blocked_until is not None and now < pace.blocked_until:
        return None
    slot = max(pace.next_slot_at, now)
    return Grant(slots=(slot,), pace=replace(pace, next_slot_at=slot + _gap(pace)))


def _horizon(gap: timedelta) -> timedelta:
    return HORIZON if gap <= HORIZON else LEAD


def _probes(pace: Pace) -> bool:
    """Return whether the next request is the first one after the key was closed for long."""
    return pace.closing >= PROBED_AFTER and pace.blocked_until is not None and pace.next_slot_at <= pace.blocked_until


def _gap(pace: Pace) -> timedelta:
    """Return the time between the next two slots; a learned rate is under the limit already."""
    gap = timedelta(seconds=1 / (pace.rate if pace.is_learned else pace.rate * UNDER))
    return max(gap, PROBE_WAIT) if _probes(pace) else gap


def closed(
    pace: Pace, *, now: datetime, wait: timedelta | None, sent_at: datetime | None = None, is_again: bool = False
) -> Pace:
    """Close the key after a 429, for the provider's ``wait`` if it named one.

    ``sent_at`` is when the refused request was sent: one that was sent before the key was closed says nothing new,
    unless it names a longer wait. ``is_again`` says that no such request was answered since the key was opened; that
    doubles the wait, up to ``LONGEST_GROWN``, unless the key has been open for longer than it was closed.
    """
    if pace.blocked_until is None:
        return _closed(pace, now, _named(wait))
    was_in_flight = sent_at is not None and pace.closed_at is not None and sent_at <= pace.closed_at
    if now < pace.blocked_until or was_in_flight:
        return pace if wait is None else replace(pace, blocked_until=max(now + wait, pace.blocked_until))
    if not is_again or is_run_over(pace, now=now) or pace.closed_at is None:
        return _closed(pace, now, _named(wait))
    # As long as the whole run of refusals so far: twice the last wait.
    grown = min(now - pace.closed_at, LONGEST_GROWN)
    return replace(_closed(pace, now, max(_named(wait), grown)), closed_at=pace.closed_at)


def is_run_over(pace: Pace, *, now: datetime) -> bool:
    """Return whether the key has been open for so long that a 429 has nothing to do with those before it."""
    return pace.blocked_until is None or now > pace.blocked_until + max(pace.closing, LONGEST_GROWN)


def _named(wait: timedelta | None) -> timedelta:
    return THROTTLE_WAIT if wait is None else wait


def held(pace: Pace, *, now: datetime, wait: timedelta) -> Pace:
    """Close the key before a 429 comes: the provider says that no request remains until its limit resets."""
    if pace.blocked_until is not None and now + wait <= pace.blocked_until:
        return pace
    return replace(pace, closed_at=now, blocked_until=now + wait)


def opened(pace: Pace, *, now: datetime) -> Pace:
    """Open a key that is closed, as a person asks for; the rate stays."""
    is_closed = pace.blocked_until is not None and now < pace.blocked_until
    return replace(pace, closed_at=None, blocked_until=now) if is_closed else pace


def _closed(pace: Pace, now: datetime, wait: timedelta) -> Pace:
    return replace(pace, closed_at=now, blocked_until=now + max(wait, SHORTEST_CLOSING))


def saturation(before: float, *, is_full: bool) -> float:
    """Follow, from 0 to 1, how many of the rounds that had a slot to give had none to spare."""
    after = before + _SMOOTHING * (is_full - before)
    return after if after >= _PLENTY else 0.0


WALLET_BELIEVED_FOR = timedelta(minutes=5)
"""How long a reading bounds admission where no floor was set: a wallet that cannot be read any more must not stop work
for ever, since the provider itself says so when it is empty."""
WALLET_READ_AGAIN_AFTER = timedelta(seconds=15)
"""How soon the wallet is read again while it holds admission up: a top-up is seen within so long."""


def spendable_credits(*, left: int | None, read_at: datetime | None, floor: int | None, now: datetime) -> int | None:
    """Return the credits that may be committed; None: the wallet sets no bound.

    ``left`` is the last reading less what was held since. A ``floor`` that was set holds in any case, and nothing is
    committed before the first reading; without one only a reading that is recent enough counts, down to 0.
    """
    if floor is not None:
        return 0 if left is None else left - floor
    if left is None or read_at is None or now >= read_at + WALLET_BELIEVED_FOR:
        return None
    return left
