"""Statement: what stood in the accounts, what moved, and what stands there now, for each day, batch, owner ..."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row

from worker.audit.queries import flows as queries_flows
from worker.audit.reports.report import Cell, Column, Report, ReportQuery, Section, added_up, columns
from worker.audit.rules.reporting import By
from worker.ledger.rules import entries
from worker.ledger.rules.entries import Balance, CreditAccount, EntryKind, Flow

_KEYS = {
    By.DAY: "day",
    By.MONTH: "month",
    By.BATCH: "batch_id name owner",
    By.OWNER: "owner",
    By.CATALOG: "catalog",
    By.MODEL: "model",
}
_OPENING = "opening_held:credits opening_reserved:credits opening_spent:credits"
_MOVED = " ".join(f"{kind}:credits" for kind in entries.PLAIN_KINDS)
_CORRECTED = " ".join(f"corrected_{account}:credits" for account in entries.CORRECTED)
_CLOSING = "closing_held:credits closing_reserved:credits closing_spent:credits"
_RARE = frozenset(
    {"opening_held", "opening_reserved", "closing_held", "closing_reserved", "corrected_held", "corrected_reserved"}
    | {"corrected_spent", EntryKind.TOP_UP, EntryKind.TRIM, EntryKind.OVERRUN, EntryKind.RELEASE, EntryKind.VOID}
)


@dataclass(kw_only=True)
class _Group:
    """The flows of one line, before and within the time that was asked for."""

    labels: tuple[Cell, ...]
    earlier: list[Flow]
    within: list[Flow]


@dataclass(frozen=True, kw_only=True)
class _Line:
    labels: tuple[Cell, ...]
    opening: Balance
    flows: tuple[Flow, ...]

    @property
    def cells(self) -> tuple[Cell, ...]:
        closing = self.opening.after(self.flows)
        corrected = entries.corrections(self.flows)
        return (
            *self.labels,
            *_balances(self.opening),
            sum(flow.entries for flow in self.flows),
            *entries.by_kind(self.flows).values(),
            *(corrected[account] for account in entries.CORRECTED),
            *_balances(closing),
        )


def statement(tx: Connection, asked: ReportQuery, *, is_raw: bool = False) -> Report:
    """Return the statement; ``is_raw`` reads the entries alone and not the roll-up, with the same result."""
    by = By(asked.by or By.DAY)
    query = queries_flows.movements(by, asked.scope, is_raw=is_raw)
    groups = _grouped(query.rows(tx), width=len(_KEYS[by].split()))
    lines = _in_sequence(groups) if by in queries_flows.PERIODS else _side_by_side(groups)
    cols = columns(f"{_KEYS[by]} {_OPENING} entries:count {_MOVED} {_CORRECTED} {_CLOSING}", details=_RARE)
    rows = [line.cells for line in lines]
    whole = _Line(
        labels=("total", *(None for _ in _KEYS[by].split()[1:])),
        opening=_opening(groups),
        flows=tuple(flow for line in lines for flow in line.flows),
    )
    return Report(
        name=asked.report,
        title=f"Statement by {by}",
        as_of=asked.as_of,
        parameters=asked.parameters,
        sections=(
            Section(name="statement", columns=cols, rows=rows, totals=whole.cells),
            _summary(whole),
        ),
        queries=(query,),
    )


def _grouped(rows: Iterable[Row[Any]], *, width: int) -> list[_Group]:
    groups: dict[str, _Group] = {}
    for row in rows:
        labels = (row.key, row.name, row.owner)[:width]
        group = groups.setdefault(row.key, _Group(labels=labels, earlier=[], within=[]))
        flow = Flow(
            kind=EntryKind(row.kind),
            source=CreditAccount(row.source),
            target=CreditAccount(row.target),
            entries=row.entries,
            credits=row.credits,
        )
        (group.earlier if row.is_opening else group.within).append(flow)
    return list(groups.values())


def _in_sequence(groups: list[_Group]) -> list[_Line]:
    lines, stands = [], _opening(groups)
    for group in groups:
        if group.within:
            line = _Line(labels=group.labels, opening=stands, flows=tuple(group.within))
            stands = stands.after(line.flows)
            lines.append(line)
    return lines


def _side_by_side(groups: list[_Group]) -> list[_Line]:
    return [
        _Line(labels=group.labels, opening=Balance().after(group.earlier), flows=tuple(group.within))
        for group in groups
    ]


def _opening(groups: list[_Group]) -> Balance:
    return Balance().after(flow for group in groups for flow in group.earlier)


def _summary(whole: _Line) -> Section:
    """Return per account how opening, movements and closing hang together."""
    cols: tuple[Column, ...] = columns("account opening:credits in:credits out:credits closing:credits")
    closing = whole.opening.after(whole.flows)
    rows = [
        (account.value, before, _moved(whole.flows, account, 1), _moved(whole.flows, account, -1), after)
        for account, before, after in zip(entries.CORRECTED, _balances(whole.opening), _balances(closing), strict=True)
    ]
    return Section(name="accounts", columns=cols, rows=rows, totals=added_up(cols, rows))


def _moved(moved: Iterable[Flow], account: CreditAccount, sign: int) -> int:
    return sum(abs(flow.credits) for flow in moved if flow.into(account) * sign > 0)


def _balances(stands: Balance) -> tuple[int, int, int]:
    return stands.held, stands.reserved, stands.spent
