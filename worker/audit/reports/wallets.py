"""The wallets' readings put into intervals, each with what our entries moved in it, and explained."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from worker.audit.reports.report import ReportQuery
from worker.audit.rules.reconciliation import Border, Doubt, Explained, Interval, Late, explain

Rows = Sequence[Row[Any]]


@dataclass(frozen=True, kw_only=True)
class Wallet:
    """One account's intervals; ``shown`` are those that end within the requested days."""

    account_id: UUID
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


def wallets(readings: Rows, moved: Rows, doubts: Rows, asked: ReportQuery, *, top_up_from: int) -> list[Wallet]:
    """Return every account with two readings or more; ``doubts`` are the holds that explain what came late."""
    by_interval = {(row.account_id, row.number): row for row in moved}
    doubtful: dict[UUID, list[Row[Any]]] = {}
    for row in doubts:
        doubtful.setdefault(row.account_id, []).append(row)
    accounts: dict[UUID, list[Row[Any]]] = {}
    for row in readings:
        accounts.setdefault(row.account_id, []).append(row)
    found = [
        _wallet(rows, by_interval, doubtful.get(account_id, ()), asked, top_up_from)
        for account_id, rows in accounts.items()
        if len(rows) > 1
    ]
    return [wallet for wallet in found if wallet.shown]


def _wallet(
    rows: Sequence[Row[Any]],
    moved: Mapping[tuple[UUID, int], Row[Any]],
    doubtful: Sequence[Row[Any]],
    asked: ReportQuery,
    top_up_from: int,
) -> Wallet:
    ends = [row.read_at for row in rows[1:]]
    intervals = [_interval(rows, moved, number) for number in range(1, len(rows))]
    late = _late(ends, rows[0].read_at, doubtful)
    explained = explain(intervals, late=late, doubts=_doubts(doubtful), top_up_from=top_up_from)
    shown = tuple(each for each in explained if asked.covers(each.interval.ends_at))
    return Wallet(account_id=rows[0].account_id, account=rows[0].account, shown=shown)


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


def _doubts(doubtful: Rows) -> list[Doubt]:
    """Find the holds without an answer, and what a person found out about others.

    A person's figure is looked for in the hour after a hold that was never answered, otherwise at any time before.
    """
    found = [
        Doubt(generation_id=row.generation_id, held_at=row.held_at, credits=row.in_held)
        for row in doubtful
        if row.in_held
    ]
    for row in doubtful:
        if row.corrected:
            until = None if row.found_charged else row.corrected_at
            found.append(
                Doubt(
                    generation_id=row.generation_id,
                    held_at=row.held_at,
                    credits=row.corrected,
                    until=until,
                    is_decided=True,
                )
            )
    return found


def _late(ends: Sequence[datetime], begin: datetime, doubtful: Rows) -> list[Late]:
    """Find what we booked in a later interval than the one in which it can have happened."""
    found = []
    for row in doubtful:
        if row.reserved_at is None or row.first_sent_at is None:
            continue
        taken, booked = bisect_left(ends, row.first_sent_at), bisect_left(ends, row.reserved_at)
        if row.first_sent_at > begin and taken < booked < len(ends):
            amount = row.reserve + row.top_up
            found.append(Late(generation_id=row.generation_id, taken_in=taken, booked_in=booked, credits=amount))
        if row.release and row.reserved_at > begin:
            ended = bisect_left(ends, row.matched_at)
            if booked < ended < len(ends):
                found.append(
                    Late(
                        generation_id=row.generation_id,
                        taken_in=booked,
                        booked_in=ended,
                        credits=row.release,
                        is_release=True,
                    )
                )
    return found
