"""Limits that the provider does not document: the rate learned from 429s, and stated ones that are doubted.

Each look for a higher limit costs one refused request, and the time for which the key is closed after it. So a refused
rate is remembered, and looked beyond only after the rate just under it has been used for long.

An answer that says that no request remains, although it refuses none itself, may say so wrongly. The key is closed
for a minute at most on such a word; a create that is accepted within the time for which none should be disproves it.
Where it is right, the create is refused with a 429, which is believed for longer.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from worker.accounts.rules import pace as paces
from worker.accounts.rules.pace import Pace

FLOOR = 0.2
"""The learned rate never falls below this many requests per second."""

CEILING = 1000.0
"""The learned rate never rises above this many requests per second."""

SETTLED = timedelta(seconds=5)
"""The 429s of so long a time after a cut are about the same rate."""

STRETCH = timedelta(seconds=1)
"""A learned rate rises at most this often, by what was answered since the last time."""

_FEWEST = 3
"""Slots that a stretch has at the least: at low rates it is longer."""

_REACHED = 0.75
"""A rate was reached when so much of it was answered: the answers to a stretch's last requests come in the next."""

_COUNTED = 20
"""Requests at the least by which a rate is measured: at low rates ten seconds have too few."""

_WRONG = 0.97
"""Of a rate that is refused though it was thought to be just under what is: else each step down costs a 429."""

_CUT = 0.9
"""Of a refused rate: for as long as it takes to climb back, a window that counts over the cut empties."""

_SOON = timedelta(seconds=10)
"""A 429 so soon after the key was opened may mean that the rate is far above the limit, and not just above it."""

_FAR = 0.8
"""Of the rate, the least that is taken for refused then: the answers of one second know nothing of longer windows."""

_ANOTHER_WAIT = timedelta(milliseconds=900)
"""Waits that differ by less are the same in whole seconds."""

_JUST_UNDER = 0.97
"""Of a refused rate: nearer, the unevenness of a stream over a network meets the limit."""

_CLIMB_PER_S = 1.03
"""From a cut to just under the limit in three seconds."""

_STAYS_FOR = 40
"""Times as long as the key was closed, the rate stays just under: then closings cost about 1 in 40."""

_REQUESTS = 300
"""Requests at the least before a higher rate is tried again: each look may cost one or two of them."""

_PROBE_PER_S = 1.003
"""Past a refused rate in ten seconds: a limit is overrun by hardly more than one request."""

_DISPROVED = 1.05
"""When a refused rate is exceeded by so much without a 429, the limit has risen; of a low rate by a request in ten
seconds, since a window of few requests may have room for that for long."""


def counted_since(pace: Pace, *, now: datetime, is_again: bool, retry_after: timedelta | None) -> datetime:
    """Return the instant from which ``throttled`` needs the number of answered requests.

    When nothing was answered since the key was opened, the provider counts over longer than the run of refusals: then
    as long a time before it counts. When a window was filled since the key was opened, so does that time. When the key
    was open for long, so does a time in which the rate hardly changed. Else it is a second, or at a low rate the time
    since the opening.
    """
    if is_again and pace.closed_at is not None:
        return pace.closed_at - _run(pace, now)
    if _fills_a_window(pace, now, retry_after):
        assert pace.blocked_until is not None
        return pace.blocked_until
    return now - _settled_span(pace, now)


def throttled(
    pace: Pace,
    *,
    now: datetime,
    retry_after: timedelta | None,
    answered: int,
    sent_at: datetime | None = None,
    is_again: bool = False,
) -> Pace:
    """Close the key until the provider's time; cut a learned rate once for a burst of 429s, and keep what was refused.

    ``answered`` counts the requests since ``counted_since`` that were not refused. ``sent_at`` and ``is_again`` are
    those of ``pace.closed``.
    """
    closed = paces.closed(pace, now=now, wait=retry_after, sent_at=sent_at, is_again=is_again)
    assert closed.blocked_until is not None
    if not pace.is_learned:
        return closed
    is_same_burst = pace.throttled_at is not None and now < pace.throttled_at + SETTLED
    if is_again and pace.closed_at is not None and answered >= _FEWEST:
        refused = min(pace.rate, answered / _run(pace, now).total_seconds())
    elif is_same_burst:
        return closed
    elif pace.throttled_at is None or pace.blocked_until is None:
        # While the rate doubles, the answers of a second say where the limit is about, but not what is too much.
        rate = max(FLOOR, _CUT * min(pace.rate, answered))
        return replace(closed, throttled_at=now, raised_at=closed.blocked_until, rate=rate)
    else:
        refused = _measured(pace, now, answered, retry_after)
    return replace(
        closed,
        throttled_at=now,
        raised_at=closed.blocked_until,
        rate=max(FLOOR, _CUT * refused),
        refused_rate=max(FLOOR, refused),
    )


def _measured(pace: Pace, now: datetime, answered: int, retry_after: timedelta | None) -> float:
    """Return the rate that is taken for refused, by the answers since ``counted_since``."""
    if _fills_a_window(pace, now, retry_after):
        assert pace.blocked_until is not None
        assert retry_after is not None
        window = now - pace.blocked_until + retry_after
        return min(answered / window.total_seconds(), _WRONG * pace.rate)
    span = _settled_span(pace, now)
    # A rate that rises is above its mean over the span by what it rises in half of it.
    risen: float = 1.0 if _is_soon(pace, now) else _PROBE_PER_S ** (span.total_seconds() / 2)
    per_s = answered / span.total_seconds() * risen
    refused = min(max(per_s, _FAR * pace.rate), pace.rate)
    is_thought_under = pace.refused_rate is not None and pace.rate <= _JUST_UNDER * pace.refused_rate
    return refused * _WRONG if is_thought_under else refused


def _fills_a_window(pace: Pace, now: datetime, retry_after: timedelta | None) -> bool:
    """Return whether the key was open for just as long as it took to fill a window that was empty.

    The provider names another wait than the last time, so it counts down to the instant at which there is room again;
    and the window, the time open and the wait together, is no shorter than the last wait.
    """
    if retry_after is None or pace.closed_at is None or pace.blocked_until is None:
        return False
    is_soon = pace.blocked_until <= now and _is_soon(pace, now)
    is_empty_first = now - pace.blocked_until + retry_after >= pace.closing
    return is_soon and is_empty_first and abs(retry_after - pace.closing) >= _ANOTHER_WAIT


def _run(pace: Pace, now: datetime) -> timedelta:
    """Return for how long requests have been refused."""
    assert pace.closed_at is not None
    return max(now - pace.closed_at, STRETCH)


def _settled_span(pace: Pace, now: datetime) -> timedelta:
    """Return a time over which the answers say what the rate was, and in which the key was open."""
    if pace.blocked_until is None or (_is_soon(pace, now) and _stretch(pace) == STRETCH):
        return STRETCH
    if _is_soon(pace, now):
        # In a second of a low rate there is one request or none: all that came since the opening says more.
        return max(now - pace.blocked_until, STRETCH)
    return min(now - pace.blocked_until, max(_SOON, timedelta(seconds=_COUNTED / pace.rate)))


def _is_soon(pace: Pace, now: datetime) -> bool:
    """Return whether the key was opened just now."""
    return pace.blocked_until is not None and now < pace.blocked_until + _SOON


def has_stretch(pace: Pace, *, now: datetime) -> bool:
    """Return whether a learned rate was used to the full for long enough to be judged."""
    return pace.is_learned and now >= pace.raised_at + _stretch(pace)


def raised(pace: Pace, *, now: datetime, answered: int) -> Pace:
    """Raise a learned rate of which nearly all was ``answered`` since ``raised_at``; the next stretch begins.

    Twofold a second until the first 429, then quickly up to just under what is refused, and beyond it only after a
    while. Slots whose requests were not answered in time say that the nodes are the bottleneck, not the provider.
    """
    after = replace(pace, raised_at=now)
    elapsed_s = (now - pace.raised_at).total_seconds()
    was_idle = now > pace.raised_at + 3 * _stretch(pace)
    if was_idle or answered < _REACHED * pace.rate * elapsed_s:
        return after
    return replace(after, rate=min(CEILING, _higher(pace, now, elapsed_s)))


def unused(pace: Pace, *, now: datetime) -> Pace:
    """Begin the next stretch: a slot was left over, so that nothing can be said about the limit."""
    return replace(pace, raised_at=max(now, pace.raised_at))


def _stretch(pace: Pace) -> timedelta:
    return max(STRETCH, timedelta(seconds=_FEWEST / pace.rate))


def _higher(pace: Pace, now: datetime, elapsed_s: float) -> float:
    climbed: float = pace.rate * _CLIMB_PER_S**elapsed_s
    probed: float = pace.rate * _PROBE_PER_S**elapsed_s
    if pace.throttled_at is None or pace.blocked_until is None:
        return pace.rate * (1 + min(elapsed_s, 1.0))
    if pace.refused_rate is None or pace.rate > _disproof(pace.refused_rate):
        return climbed
    just_under = _JUST_UNDER * pace.refused_rate
    if pace.rate < just_under:
        return min(climbed, just_under)
    stays_for = max(_STAYS_FOR * pace.closing, timedelta(seconds=_REQUESTS / pace.rate))
    is_kept = now < pace.blocked_until + stays_for
    return pace.rate if is_kept else probed


def _disproof(refused_rate: float) -> float:
    """Return the rate that could not have been answered if the limit were still where it was."""
    return max(_DISPROVED * refused_rate, refused_rate + 1 / _SOON.total_seconds())


BELIEVED_FOR = timedelta(minutes=1)
"""The longest time for which the key is closed without a 429."""
DISBELIEVED_FOR = timedelta(minutes=15)
"""How long such answers are ignored after one was disproved, unless a 429 comes."""
_SURELY_BEFORE = 0.9
"""Of the time until the reset: what is accepted later may have arrived when the limit had been reset."""


@dataclass(frozen=True, kw_only=True)
class StatedLimit:
    """The limit that the provider stated last."""

    said_at: datetime | None = None
    resets_in: timedelta = timedelta(0)
    disproved_at: datetime | None = None


def note_accepted(before: StatedLimit, *, sent_at: datetime, now: datetime) -> StatedLimit:
    """Return the learned rate after a create that was sent at this instant was accepted."""
    if before.said_at is None or not before.said_at < sent_at < before.said_at + _SURELY_BEFORE * before.resets_in:
        return before
    return StatedLimit(disproved_at=now)


def note_stated(before: StatedLimit, *, wait: timedelta, now: datetime) -> tuple[StatedLimit, timedelta | None]:
    """Return the stated limit after an answer, and how long to close the key; None: not at all."""
    if before.disproved_at is not None and now < before.disproved_at + DISBELIEVED_FOR:
        return before, None
    return StatedLimit(said_at=now, resets_in=wait), min(wait, BELIEVED_FOR)
