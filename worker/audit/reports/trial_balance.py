"""Trial balance: the four accounts of each batch and of all of them, which must add up to zero."""

from typing import Any

from sqlalchemy import Connection, Row

from worker.audit.queries import flows
from worker.audit.reports.report import Cell, Report, Section, added_up, columns
from worker.audit.reports.report_query import ReportQuery
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
