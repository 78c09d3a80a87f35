"""Which reports there are and what they can be limited to; how old an open amount is, and how fast it was settled."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class ReportName(StrEnum):
    """The reports, by their names on the command line."""

    STATEMENT = "statement"
    """Opening, movements and closing."""
    OUTSTANDING = "outstanding"
    """Held or reserved and not decided yet."""
    SPEND = "spend"
    """Promised, reserved, charged and given back."""
    TRIAL_BALANCE = "trial-balance"
    """The four accounts, which add up to zero."""
    JOB = "job"
    """The whole life of one image."""
    RECONCILE = "reconcile"
    """The wallet against the ledger."""
    EXPORT = "export"
    """Every entry."""
    CHANGES = "changes"
    """Who changed or decided what."""


class By(StrEnum):
    """What a statement has one line for."""

    DAY = "day"
    MONTH = "month"
    BATCH = "batch"
    OWNER = "owner"
    CATALOG = "catalog"
    MODEL = "model"


class SpendBy(StrEnum):
    """What the spend report has one line for."""

    BATCH = "batch"
    IMAGE = "image"


class Format(StrEnum):
    """What a report may be printed as."""

    TABLE = "table"
    """For reading: rare columns without content are left out, long texts are cut."""
    CSV = "csv"
    """One line per row of every section, the first column names the section; totals are left out."""
    JSON = "json"
    """Everything."""
    XLSX = "xlsx"
    """A sheet per section."""
    HLEDGER = "hledger"
    """A journal of plain-text accounting; exports only."""


class AgeClass(StrEnum):
    """Classes of how long credits have been open; a boundary belongs to the older class."""

    HOUR = "under 1 h"
    """Work in progress."""
    DAY = "1 h to 24 h"
    """Slow, or waiting for an account to be fixed."""
    WEEK = "1 d to 7 d"
    """A person should look at it."""
    OLDER = "over 7 d"
    """A person must look at it."""


_BORDERS = (
    (timedelta(hours=1), AgeClass.HOUR),
    (timedelta(days=1), AgeClass.DAY),
    (timedelta(days=7), AgeClass.WEEK),
)


def age_class(age: timedelta) -> AgeClass:
    """Return the class of an age; a negative age, from a clock ahead, is in the newest class."""
    return next((name for border, name in _BORDERS if age < border), AgeClass.OLDER)


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


def settlement_rate(reservations: Iterable[Reservation], *, within: timedelta, as_of: datetime) -> Rate:
    """Count what was matched within the span among all that is matched or has had the whole span."""
    due = matched = 0
    for each in reservations:
        is_matched = each.matched_at is not None and each.matched_at - each.reserved_at <= within
        if is_matched or as_of - each.reserved_at >= within:
            due += each.credits
            matched += each.credits * is_matched
    return Rate(within=within, due=due, matched=matched)
