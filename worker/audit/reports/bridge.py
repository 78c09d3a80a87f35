"""Bridge: how the trial balance and the wallets hang together, so that no entry is left out of the comparison."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Row

from worker.audit.reports.report import ALL_DAYS, Cell, Section, added_up, columns
from worker.audit.reports.wallets import Wallet

_COLUMNS = columns(
    "account reserved:credits spent:credits ours:credits other_days:credits before_first:credits after_last:credits"
    " corrected:credits difference:credits",
    details=frozenset({"other_days"}),
)


def bridge(
    accounts: Sequence[Row[Any]], readings: Sequence[Row[Any]], moved: Sequence[Row[Any]], found: Sequence[Wallet]
) -> Section:
    """Show per account that reserved and spent are what moved between, before and after the readings, and corrections.

    ``ours`` is that of the intervals which are shown; the difference of every account is zero.
    """
    shown = {wallet.account_id: sum(each.interval.ours for each in wallet.shown) for wallet in found}
    rows = [_row(each, list(_placed(each, readings, moved)), shown.get(each.account_id, 0)) for each in accounts]
    return Section(name="bridge", columns=_COLUMNS, rows=rows, totals=added_up(_COLUMNS, rows), note=ALL_DAYS)


def _placed(account: Row[Any], readings: Sequence[Row[Any]], moved: Sequence[Row[Any]]) -> Iterator[tuple[int, int]]:
    """Yield -1, 0 or 1 for entries before the first reading, between readings and after the last, with their sum."""
    count = sum(row.account_id == account.account_id for row in readings)
    for row in moved:
        if row.account_id == account.account_id:
            place = -1 if row.number == 0 else 1 if row.number == count else 0
            yield place, row.spent - row.released


def _row(account: Row[Any], placed: Sequence[tuple[int, int]], ours: int) -> tuple[Cell, ...]:
    before, between, after = (sum(credits_ for place, credits_ in placed if place == each) for each in (-1, 0, 1))
    whole = account.reserved + account.spent
    rest = whole - (before + between + after + account.corrected)
    return (
        account.account,
        account.reserved,
        account.spent,
        ours,
        between - ours,
        before,
        after,
        account.corrected,
        rest,
    )
