"""How quickly reserved credits were settled: the share that was matched within an hour and within a day."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

WITHIN = (timedelta(hours=1), timedelta(hours=24))
"""The two spans that the rate is given for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reservation:
    """Credits that were reserved, or are held for want of an answer, and when the last was decided; None: not yet."""

    credits: int
    reserved_at: datetime
    matched_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """Of the credits that have been reserved for long enough, how many were matched in time."""

    within: timedelta
    due: int
    """Credits whose time is up at the instant of the report, or that were matched already."""
    matched: int

    @property
    def share(self) -> str:
        """The rate with four places, rounded down, so that 1.0000 means all; empty when nothing is due."""
        if not self.due:
            return ""
        whole, part = divmod(self.matched * 10_000 // self.due, 10_000)
        return f"{whole}.{part:04}"


def rate(reservations: Iterable[Reservation], *, within: timedelta, as_of: datetime) -> Rate:
    """Count what was matched within the span among all that is matched or has had the whole span."""
    due = matched = 0
    for each in reservations:
        is_matched = each.matched_at is not None and each.matched_at - each.reserved_at <= within
        if is_matched or as_of - each.reserved_at >= within:
            due += each.credits
            matched += each.credits * is_matched
    return Rate(within=within, due=due, matched=matched)
