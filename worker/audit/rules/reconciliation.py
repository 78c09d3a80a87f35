"""How a change of the wallet between two readings is explained: ours first, and by rule whatever is left.

The provider shows a balance and no statement, so that what is not ours is classed by its shape. A class is a
proposal for the person who reconciles, and never moves a credit. Nothing is blamed on a hold, or on others, that may as
well have been the other: such a change is ambiguous, with the holds that it may have been.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

DOUBT_SPAN = timedelta(hours=1)
"""How long after a hold the provider may have taken its credits without our knowing: the time of replays."""


class Cause(StrEnum):
    """Why the wallet changed by credits that our entries between the two readings do not show."""

    TIMING = "timing"
    """Booked within moments of a reading and seen by the wallet on its other side."""
    DOUBT = "in_doubt"
    """Answered late, or a person decided or corrected what it cost; it can have moved at no other time."""
    AMBIGUOUS = "ambiguous"
    """Ours, of a hold that was not answered or at another time than booked, or others': the wallet cannot tell."""
    TOP_UP = "top_up"
    """Credits were bought."""
    OUTSIDE = "outside_spend"
    """Another client of the account used the same wallet."""
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
    """Credits that an entry of one interval booked although they may have moved at the provider in an earlier one."""

    generation_id: UUID
    taken_in: int
    """Index of the first interval in which the provider may have moved them."""
    booked_in: int
    """Index of the interval in which our entry stands."""
    credits: int
    is_release: bool = False
    """Whether they came back. Otherwise they left."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Doubt:
    """Credits that no answer of the provider's shows: it may have moved them without our knowing when."""

    generation_id: UUID
    held_at: datetime
    credits: int
    """Above zero: perhaps taken; below zero: perhaps given back."""
    until: datetime | None = None
    """When it must have happened; None: in the hour after the hold."""
    is_decided: bool = False
    """Whether a person found out that it did happen; otherwise it may not have happened at all."""

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
    candidates: tuple["Claim", ...] = ()
    """What the ambiguous credits may have been, by amount and time; others' use of the wallet is always possible."""

    def amount(self, cause: Cause) -> int:
        """Return the credits of one cause."""
        return self.amounts.get(cause, 0)

    @property
    def rest(self) -> int:
        """What no cause accounts for yet; zero once the rules are through."""
        return self.interval.unexpected - sum(self.amounts.values())

    def plus(self, cause: Cause, credits_: int) -> "Explained":
        """Attribute that many more credits to the cause."""
        return replace(self, amounts={**self.amounts, cause: self.amount(cause) + credits_})


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """Credits of one generation that moved, or may have moved, in one of several intervals."""

    generation_id: UUID
    credits: int
    """With the sign that they have in the wallet."""
    places: tuple[int, ...]
    """Indices of the intervals in question."""
    is_certain: bool
    """Whether they did move in one of these."""
    booked_in: int | None = None
    """Index of the interval that shows the entry and not the movement, if there is one."""

    def is_like(self, rest: int) -> bool:
        """Whether it may be part of what is left of an interval, by direction and amount."""
        return self.credits * rest > 0 and abs(self.credits) <= abs(rest)


def explain(
    intervals: Sequence[Interval], *, late: Sequence[Late] = (), doubts: Sequence[Doubt] = (), top_up_from: int = 100
) -> tuple[Explained, ...]:
    """Account for every interval of one wallet, oldest first; the amounts of each add up to its change plus ours.

    A rise of ``top_up_from`` credits or more that is not ours counts as a top-up.
    """
    found = [Explained(interval=interval) for interval in intervals]
    for index in range(len(found) - 1):
        _shift_over_border(found, index, top_up_from)
    claims = [claim for each in late if (claim := _claim_of_late(found, each, top_up_from)) is not None]
    claims += [_claim_of_doubt(found, each, top_up_from) for each in doubts]
    left = _settle(found, claims)
    _shift_over_ends(found)
    for index in range(len(found)):
        _mark_ambiguous(found, index, left)
    return tuple(_class_rest(each, top_up_from=top_up_from) for each in found)


def _shift_over_border(found: list[Explained], index: int, top_up_from: int) -> None:
    """Explain what was posted within seconds of a reading on the side where the wallet does not show it.

    Beside a top-up a fall is not made up for by a rise of its size, so that it may as well be others'.
    """
    border, rest = found[index].interval.end, found[index].rest
    fell, rose = (index, index + 1) if rest < 0 else (index + 1, index)
    most = border.most_earlier() if rest < 0 else border.most_later()
    amount = max(0, min(most, -found[fell].rest, found[rose].rest))
    cause = Cause.AMBIGUOUS if found[rose].rest >= top_up_from else Cause.TIMING
    _take(found, fell, cause, -amount)
    _take(found, rose, cause, amount)


def _shift_over_ends(found: list[Explained]) -> None:
    """Explain the same at the first and the last reading, beyond which there is no interval to hold it against."""
    if not found:
        return
    first, last = found[0].interval.start, found[-1].interval.end
    _take(found, 0, Cause.TIMING, _clamp(found[0].rest, low=-first.most_later(), high=first.most_earlier()))
    rest = found[-1].rest
    _take(found, len(found) - 1, Cause.TIMING, _clamp(rest, low=-last.most_earlier(), high=last.most_later()))


def _claim_of_late(found: list[Explained], late: Late, top_up_from: int) -> Claim | None:
    """Take out of the interval of the entry what it does not show, and look for it in the intervals before.

    None: the wallet shows the movement where it was booked. It is not certain when either side has a top-up, whose size
    is not known: then the entry may be where it belongs, and the fall others'.
    """
    sign = 1 if late.is_release else -1
    there = sign * -found[late.booked_in].rest
    span = range(late.taken_in, late.booked_in)
    elsewhere = sum(max(0, sign * found[index].rest) for index in span)
    amount = min(late.credits, there, elsewhere)
    if amount <= 0:
        return None
    places = tuple(index for index in span if sign * found[index].rest > 0)
    is_certain = all(found[index].rest < top_up_from for index in (*span, late.booked_in))
    _take(found, late.booked_in, Cause.DOUBT if is_certain else Cause.AMBIGUOUS, -sign * amount)
    return Claim(
        generation_id=late.generation_id,
        credits=sign * amount,
        places=places,
        is_certain=is_certain,
        booked_in=late.booked_in,
    )


def _claim_of_doubt(found: Sequence[Explained], doubt: Doubt, top_up_from: int) -> Claim:
    """Look for it in every interval of its time; a top-up there may hide it."""
    places = tuple(index for index, each in enumerate(found) if doubt.is_near(each.interval))
    is_certain = doubt.is_decided and all(found[index].rest < top_up_from for index in places)
    return Claim(generation_id=doubt.generation_id, credits=-doubt.credits, places=places, is_certain=is_certain)


def _settle(found: list[Explained], claims: Sequence[Claim]) -> list[Claim]:
    """Explain what can have moved in one interval alone, until nothing more follows; return the claims left over."""
    left = list(claims)
    while (sure := next((claim for claim in left if _is_settled(found, claim)), None)) is not None:
        (index,) = _places(found, sure)
        _take(found, index, Cause.DOUBT, sure.credits)
        left.remove(sure)
    return _without_lost(found, _settle_groups(found, left))


def _is_settled(found: Sequence[Explained], claim: Claim) -> bool:
    return claim.is_certain and len(_places(found, claim)) == 1


def _places(found: Sequence[Explained], claim: Claim) -> list[int]:
    """Return the intervals in which the claim may be part of what is left."""
    return [index for index in claim.places if claim.is_like(found[index].rest)]


def _settle_groups(found: list[Explained], left: Sequence[Claim]) -> list[Claim]:
    """Explain claims together that make up all that is left of their intervals; return the others."""
    others: list[Claim] = []
    for claims, indices in _groups(found, left):
        is_whole = sum(claim.credits for claim in claims) == sum(found[index].rest for index in indices)
        if not is_whole or not all(claim.is_certain for claim in claims):
            others += claims
            continue
        for index in indices:
            _take(found, index, Cause.DOUBT, found[index].rest)
    return others


def _groups(found: Sequence[Explained], claims: Sequence[Claim]) -> list[tuple[list[Claim], set[int]]]:
    """Put together what shares an interval, directly or over others."""
    groups: list[tuple[list[Claim], set[int]]] = []
    for claim in claims:
        mine, indices = [claim], set(_places(found, claim))
        apart = []
        for each in groups:
            if each[1] & indices:
                mine, indices = each[0] + mine, each[1] | indices
            else:
                apart.append(each)
        groups = [*apart, (mine, indices)]
    return groups


def _without_lost(found: list[Explained], claims: Sequence[Claim]) -> list[Claim]:
    """Drop claims that no interval has room for; what was taken out where they were booked is put back."""
    kept = [claim for claim in claims if _places(found, claim)]
    for claim in claims:
        if claim not in kept and claim.booked_in is not None:
            _take(found, claim.booked_in, Cause.DOUBT if claim.is_certain else Cause.AMBIGUOUS, claim.credits)
    return kept


def _mark_ambiguous(found: list[Explained], index: int, claims: Sequence[Claim]) -> None:
    """Class as ambiguous what claims may have been, as much as they can make up together, and name them."""
    rest = found[index].rest
    near = [claim for claim in claims if index in claim.places and claim.is_like(rest)]
    if near:
        amount = _most([abs(claim.credits) for claim in near], at_most=abs(rest))
        _take(found, index, Cause.AMBIGUOUS, amount if rest > 0 else -amount)
        found[index] = replace(found[index], candidates=tuple(near))


def _most(amounts: Sequence[int], *, at_most: int) -> int:
    """Return the largest sum of some of the amounts that is no more than ``at_most``."""
    if sum(amounts) <= at_most:
        return sum(amounts)
    sums = {0}
    for amount in amounts:
        sums |= {each + amount for each in sums if each + amount <= at_most}
    return max(sums)


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
