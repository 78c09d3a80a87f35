"""How a change of the wallet between two readings is explained: ours first, and by rule whatever is left.

The provider shows a balance and no statement, so that what is not ours is classed by its shape. A class is a
proposal for the person who reconciles, and never moves a credit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

DOUBT_SPAN = timedelta(hours=1)
"""How long after a hold the provider may have taken its credits without our knowing: the time of replays."""


class Cause(StrEnum):
    """Why the wallet changed by credits that our entries between the two readings do not show."""

    TIMING = "timing"
    """Booked within moments of a reading and seen by the wallet on its other side."""
    DOUBT = "in_doubt"
    """A hold of that time was not answered, or was answered late, or a person decided or corrected what it cost."""
    TOP_UP = "top_up"
    """Somebody bought credits."""
    OUTSIDE = "outside_spend"
    """Somebody else used the same wallet."""
    EXPIRY = "expiry"
    """The wallet fell to nothing while nothing of ours moved."""
    UNEXPLAINED = "unexplained"
    """A rise that is too small for a top-up: perhaps a refund that was never booked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Border:
    """What was posted near one reading, and may have reached the wallet on its other side."""

    spent_after: int = 0
    """Credits that left by entries shortly after the reading; the provider had perhaps taken them before it."""
    spent_before: int = 0
    """Credits that left by entries shortly before it."""
    released_after: int = 0
    """Credits that came back by entries shortly after it."""
    released_before: int = 0
    """Credits that came back by entries shortly before it; the provider perhaps gave them back only afterwards."""

    def most_earlier(self) -> int:
        """Return how much more may have left the wallet before the reading than our entries show."""
        return self.spent_after + self.released_before

    def most_later(self) -> int:
        """Return how much less may have left it before the reading."""
        return self.released_after + self.spent_before


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """The time between two readings of one wallet."""

    begins_at: datetime
    ends_at: datetime
    before: int
    """The wallet at the first reading."""
    after: int
    """The wallet at the second."""
    ours: int
    """Credits that our entries took from the wallet in this time; below zero: gave back."""
    start: Border
    end: Border

    @property
    def change(self) -> int:
        """By how much the wallet rose; below zero: fell."""
        return self.after - self.before

    @property
    def unexpected(self) -> int:
        """What is left of the change when ours is taken out."""
        return self.change + self.ours


@dataclass(frozen=True, kw_only=True, slots=True)
class Late:
    """Credits that an entry of one interval booked although they moved at the provider in an earlier one."""

    taken_in: int
    """Index of the first interval in which the provider may have moved them."""
    booked_in: int
    """Index of the interval in which our entry stands."""
    credits: int
    is_release: bool = False
    """Whether they came back: at some time between the two. Otherwise they left, in the first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Doubt:
    """Credits that no answer of the provider's shows: it may have moved them without our knowing when."""

    held_at: datetime
    credits: int
    """Above zero: perhaps taken; below zero: perhaps given back."""
    until: datetime | None = None
    """When it must have happened; None: in the hour after the hold."""

    def is_near(self, interval: Interval) -> bool:
        """Whether it may have happened in the interval."""
        until = self.held_at + DOUBT_SPAN if self.until is None else self.until
        return interval.begins_at <= until and self.held_at <= interval.ends_at


@dataclass(frozen=True, kw_only=True, slots=True)
class Explained:
    """An interval with every credit of its change accounted for."""

    interval: Interval
    amounts: Mapping[Cause, int] = field(default_factory=dict)
    """Credits by cause, with the sign that they have in the wallet."""

    def amount(self, cause: Cause) -> int:
        """Return the credits of one cause."""
        return self.amounts.get(cause, 0)

    @property
    def rest(self) -> int:
        """What no cause accounts for yet; zero once the rules are through."""
        return self.interval.unexpected - sum(self.amounts.values())

    def plus(self, cause: Cause, credits_: int) -> "Explained":
        """Account for so many credits more by the cause."""
        return replace(self, amounts={**self.amounts, cause: self.amount(cause) + credits_})


def explain(
    intervals: Sequence[Interval], *, late: Sequence[Late] = (), doubts: Sequence[Doubt] = (), top_up_from: int = 100
) -> tuple[Explained, ...]:
    """Account for every interval of one wallet, oldest first; the amounts of each add up to its change plus ours.

    A rise of ``top_up_from`` credits or more that is not ours counts as a top-up.
    """
    found = [Explained(interval=interval) for interval in intervals]
    for index in range(len(found) - 1):
        _shift_over_border(found, index)
    for each in late:
        _shift_late(found, each)
    for doubt in doubts:
        _take_doubt(found, doubt)
    _shift_over_ends(found)
    return tuple(_class_rest(each, top_up_from=top_up_from) for each in found)


def _shift_over_border(found: list[Explained], index: int) -> None:
    """Explain what was posted within seconds of a reading on the side where the wallet does not show it."""
    border, rest = found[index].interval.end, found[index].rest
    if rest < 0:
        _shift(found, index, index + 1, border.most_earlier(), Cause.TIMING)
    elif rest > 0:
        _shift(found, index + 1, index, border.most_later(), Cause.TIMING)


def _shift_over_ends(found: list[Explained]) -> None:
    """Explain the same at the first and the last reading, beyond which there is no interval to hold it against."""
    if not found:
        return
    first, last = found[0].interval.start, found[-1].interval.end
    _take(found, 0, Cause.TIMING, _clamp(found[0].rest, low=-first.most_later(), high=first.most_earlier()))
    rest = found[-1].rest
    _take(found, len(found) - 1, Cause.TIMING, _clamp(rest, low=-last.most_earlier(), high=last.most_later()))


def _shift_late(found: list[Explained], late: Late) -> None:
    """Explain what was booked long after it happened on the side where it happened."""
    if not late.is_release:
        _shift(found, late.taken_in, late.booked_in, late.credits, Cause.DOUBT)
        return
    left = late.credits
    for index in range(late.taken_in, late.booked_in):
        left -= _shift(found, late.booked_in, index, left, Cause.DOUBT)


def _shift(found: list[Explained], fell: int, rose: int, most: int, cause: Cause) -> int:
    """Set a fall of one interval against a rise of another, as far as both go; gives how far that was."""
    amount = max(0, min(most, -found[fell].rest, found[rose].rest))
    _take(found, fell, cause, -amount)
    _take(found, rose, cause, amount)
    return amount


def _take_doubt(found: list[Explained], doubt: Doubt) -> None:
    """Explain falls (or rises, when it was given back) of its time with it, the first ones first."""
    left = -doubt.credits
    for index, each in enumerate(found):
        if doubt.is_near(each.interval):
            amount = _clamp(each.rest, low=min(left, 0), high=max(left, 0))
            _take(found, index, Cause.DOUBT, amount)
            left -= amount


def _class_rest(each: Explained, *, top_up_from: int) -> Explained:
    rest = each.rest
    if rest == 0:
        return each
    return each.plus(_cause_of(each.interval, rest, top_up_from), rest)


def _cause_of(interval: Interval, rest: int, top_up_from: int) -> Cause:
    if rest >= top_up_from:
        return Cause.TOP_UP
    if rest > 0:
        return Cause.UNEXPLAINED
    is_idle = interval.ours == 0 and interval.after == 0
    return Cause.EXPIRY if is_idle else Cause.OUTSIDE


def _take(found: list[Explained], index: int, cause: Cause, amount: int) -> None:
    if amount:
        found[index] = found[index].plus(cause, amount)


def _clamp(value: int, *, low: int, high: int) -> int:
    return max(low, min(high, value))
