"""The wallets' readings put into intervals, each with what our entries moved in it, and explained."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row

from worker.audit.reports.asked import Asked
from worker.db import paid_attempts
from worker.db.flows import Scope
from worker.db.query import Query
from worker.domain.reconciliation import Border, Doubt, Explained, Interval, Late, explain

UNDECIDED_AFTER = timedelta(hours=1)
"""A hold that is older and still not answered may have been charged without our knowing."""


@dataclass(frozen=True, kw_only=True)
class Wallet:
    """One account's intervals; ``shown`` are those that end within the days that were asked for."""

    account: str
    shown: tuple[Explained, ...]

    @property
    def readings(self) -> int:
        """How many readings the intervals lie between."""
        return len(self.shown) + 1

    @property
    def opening(self) -> int:
        """The first reading."""
        return self.shown[0].interval.before

    @property
    def closing(self) -> int:
        """The last reading."""
        return self.shown[-1].interval.after


def wallets(
    tx: Connection, asked: Asked, readings: Query, moved: Query, *, top_up_from: int
) -> tuple[list[Wallet], Query]:
    """Give every account with two readings or more, and the query for the holds that explain what came late."""
    doubts = paid_attempts.doubtful(Scope(as_of=asked.as_of))
    by_interval = {(row.account_id, row.number): row for row in moved.rows(tx)}
    doubtful: dict[UUID, list[Row[Any]]] = {}
    for row in doubts.rows(tx):
        doubtful.setdefault(row.account_id, []).append(row)
    accounts: dict[UUID, list[Row[Any]]] = {}
    for row in readings.rows(tx):
        accounts.setdefault(row.account_id, []).append(row)
    found = [
        _wallet(rows, by_interval, doubtful.get(account_id, ()), asked, top_up_from)
        for account_id, rows in accounts.items()
        if len(rows) > 1
    ]
    return [wallet for wallet in found if wallet.shown], doubts


def _wallet(
    rows: Sequence[Row[Any]],
    moved: Mapping[tuple[UUID, int], Row[Any]],
    doubtful: Sequence[Row[Any]],
    asked: Asked,
    top_up_from: int,
) -> Wallet:
    ends = [row.read_at for row in rows[1:]]
    intervals = [_interval(rows, moved, number) for number in range(1, len(rows))]
    late = _late(ends, rows[0].read_at, doubtful)
    explained = explain(intervals, late=late, doubts=_doubts(doubtful, asked), top_up_from=top_up_from)
    return Wallet(account=rows[0].account, shown=tuple(each for each in explained if _is_shown(each, asked)))


def _interval(rows: Sequence[Row[Any]], moved: Mapping[tuple[UUID, int], Row[Any]], number: int) -> Interval:
    first, last = rows[number - 1], rows[number]
    here = moved.get((first.account_id, number))
    return Interval(
        begins_at=first.read_at,
        ends_at=last.read_at,
        before=first.credits,
        after=last.credits,
        ours=0 if here is None else here.spent - here.released,
        start=_border(moved.get((first.account_id, number - 1)), here),
        end=_border(here, moved.get((first.account_id, number + 1))),
    )


def _border(before: Row[Any] | None, after: Row[Any] | None) -> Border:
    return Border(
        spent_after=0 if after is None else after.spent_after,
        released_after=0 if after is None else after.released_after,
        spent_before=0 if before is None else before.spent_before,
        released_before=0 if before is None else before.released_before,
    )


def _doubts(doubtful: Sequence[Row[Any]], asked: Asked) -> list[Doubt]:
    """Find the holds that were never answered, and those that a person found to have been charged."""
    found = []
    for row in doubtful:
        is_open = row.in_held > 0 and asked.as_of - row.held_at >= UNDECIDED_AFTER
        credits_ = row.in_held if is_open else row.found_charged
        if credits_:
            found.append(Doubt(held_at=row.held_at, credits=credits_))
    return found


def _late(ends: Sequence[datetime], begin: datetime, doubtful: Sequence[Row[Any]]) -> list[Late]:
    """Find the reservations that we booked in a later interval than the one in which the request was sent."""
    found = []
    for row in doubtful:
        if row.reserved_at is None or row.first_sent_at is None or row.first_sent_at <= begin:
            continue
        taken, booked = bisect_left(ends, row.first_sent_at), bisect_left(ends, row.reserved_at)
        if taken < booked < len(ends):
            found.append(Late(taken_in=taken, booked_in=booked, credits=row.reserve + row.top_up))
    return found


def _is_shown(each: Explained, asked: Asked) -> bool:
    day = each.interval.ends_at.date()
    return (asked.from_day is None or day >= asked.from_day) and (asked.to_day is None or day <= asked.to_day)
