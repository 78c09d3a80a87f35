"""Trial balance: the four accounts of each batch and of all of them; the bridge ties them to the wallets."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row

from worker.audit.queries import flows
from worker.audit.reports.report import ALL_DAYS, Cell, Report, ReportQuery, Section, added_up, columns
from worker.audit.reports.wallets import Wallet
from worker.ledger.rules.entries import CreditAccount

_PER_BATCH = columns(
    "batch_id name owner entries:count cap:credits held:credits reserved:credits spent:credits sum:credits"
)
_PER_ACCOUNT = columns("account moved_in:credits moved_out:credits balance:credits")


def trial_balance(tx: Connection, asked: ReportQuery) -> Report:
    """Return the balances of the accounts, and what went in and out of each."""
    query = flows.per_batch(asked.scope)
    found = query.rows(tx)
    batches = _batches(found)
    accounts = [_account(found, account) for account in CreditAccount]
    return Report(
        name=asked.report,
        title="Trial balance",
        as_of=asked.as_of,
        parameters=asked.parameters,
        sections=(
            Section(name="batches", columns=_PER_BATCH, rows=batches, totals=added_up(_PER_BATCH, batches)),
            Section(name="accounts", columns=_PER_ACCOUNT, rows=accounts, totals=added_up(_PER_ACCOUNT, accounts)),
        ),
        queries=(query,),
    )


def _batches(found: "list[Row[Any]] | Any") -> list[tuple[Cell, ...]]:
    sums: dict[Any, dict[str, int]] = {}
    names: dict[Any, tuple[str, str]] = {}
    for row in found:
        names[row.batch_id] = (row.name, row.owner)
        held = sums.setdefault(row.batch_id, {"entries": 0, **dict.fromkeys(CreditAccount, 0)})
        held["entries"] += row.entries
        held[row.source] -= row.credits
        held[row.target] += row.credits
    return [_batch(batch_id, names[batch_id], held) for batch_id, held in sums.items()]


def _batch(batch_id: Any, names: tuple[str, str], sums: dict[str, int]) -> tuple[Cell, ...]:
    balances = tuple(sums[account] for account in CreditAccount)
    return (batch_id, *names, sums["entries"], *balances, sum(balances))


def _account(found: "list[Row[Any]] | Any", account: CreditAccount) -> tuple[Cell, ...]:
    moved_in = sum(row.credits for row in found if row.target == account)
    moved_out = sum(row.credits for row in found if row.source == account)
    return (account.value, moved_in, moved_out, moved_in - moved_out)


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
