"""Reconcile: first our own sums against the rows, then the wallet's every change against our entries."""

from sqlalchemy import Connection

from worker.audit.queries import flows, paid_attempts, wallet_history
from worker.audit.queries.query import Query
from worker.audit.reports.bridge import bridge
from worker.audit.reports.report import ALL_DAYS, Cell, Report, Section, added_up, columns
from worker.audit.reports.report_query import ReportQuery
from worker.audit.reports.variances import variances
from worker.audit.reports.wallets import Wallet, wallets
from worker.audit.rules import completeness
from worker.audit.rules.ageing import age_class
from worker.audit.rules.completeness import Reservation
from worker.audit.rules.reconciliation import Cause, Explained

NEAR_S = 120
"""Entries so many seconds from a reading may have reached the wallet on its other side."""
TOP_UP_FROM = 100
"""A rise of so many credits that is not ours counts as a top-up."""

_OWN = columns(
    "kind rollup_entries:count rollup_credits:credits raw_entries:count raw_credits:credits difference:credits"
)
_CAUSES = " ".join(f"{cause}:credits" for cause in Cause)
_WALLETS = columns(f"account readings:count opening:credits ours:credits {_CAUSES} closing:credits")
_INTERVALS = columns(
    "account begins_at:instant ends_at:instant before:credits after:credits change:credits ours:credits"
    f" unexpected:credits {_CAUSES} age",
    details=frozenset(Cause),
)
_RATES = columns("within due:credits matched:credits share")


def reconcile(tx: Connection, asked: ReportQuery) -> Report:
    """Return the comparison with its proof, its intervals, the variances and the completeness rate."""
    near_s = NEAR_S if asked.near_s is None else asked.near_s
    top_up_from = TOP_UP_FROM if asked.top_up_from is None else asked.top_up_from
    own, reserved = flows.rolled_up(asked.scope), paid_attempts.reservations(asked.scope)
    readings = wallet_history.readings(as_of=asked.as_of)
    moved = wallet_history.moved(as_of=asked.as_of, near_s=near_s)
    doubts, accounts = paid_attempts.doubtful(asked.scope), flows.per_account(asked.scope)
    read, happened = readings.rows(tx), moved.rows(tx)
    found = wallets(read, happened, doubts.rows(tx), asked, top_up_from=top_up_from)
    differing, differing_query = variances(tx, asked)
    return Report(
        name=asked.report,
        title="Reconciliation with the wallet",
        as_of=asked.as_of,
        parameters=asked.parameters,
        sections=(
            _own_books(tx, own),
            bridge(accounts.rows(tx), read, happened, found),
            _summary(found),
            _intervals(found, asked),
            differing,
            _rates(tx, reserved, asked),
        ),
        queries=(own, accounts, readings, moved, doubts, differing_query, reserved),
    )


def _own_books(tx: Connection, query: Query) -> Section:
    rows: list[tuple[Cell, ...]] = [
        (
            row.kind,
            row.rollup_entries,
            row.rollup_credits,
            row.raw_entries,
            row.raw_credits,
            row.rollup_credits - row.raw_credits,
        )
        for row in query.rows(tx)
    ]
    return Section(name="own_books", columns=_OWN, rows=rows, totals=added_up(_OWN, rows), note=ALL_DAYS)


def _summary(found: list[Wallet]) -> Section:
    """Show per wallet that opening, less ours, plus every cause, is closing."""
    rows: list[tuple[Cell, ...]] = [
        (
            wallet.account,
            wallet.readings,
            wallet.opening,
            sum(each.interval.ours for each in wallet.shown),
            *_causes(wallet.shown),
            wallet.closing,
        )
        for wallet in found
    ]
    return Section(name="wallets", columns=_WALLETS, rows=rows, totals=added_up(_WALLETS, rows))


def _intervals(found: list[Wallet], asked: ReportQuery) -> Section:
    """Show each interval in which anything happened."""
    rows = [
        _interval(wallet.account, each, asked)
        for wallet in found
        for each in wallet.shown
        if each.interval.change or each.interval.ours
    ]
    return Section(name="intervals", columns=_INTERVALS, rows=rows, totals=_interval_totals(rows))


def _interval(account: str, each: Explained, asked: ReportQuery) -> tuple[Cell, ...]:
    interval = each.interval
    return (
        account,
        interval.begins_at,
        interval.ends_at,
        interval.before,
        interval.after,
        interval.change,
        interval.ours,
        interval.unexpected,
        *(each.amount(cause) for cause in Cause),
        age_class(asked.as_of - interval.ends_at).value,
    )


def _interval_totals(rows: list[tuple[Cell, ...]]) -> tuple[Cell, ...]:
    """Add up movements; a sum of balances would mean nothing."""
    whole = added_up(_INTERVALS, rows)
    return (*whole[:3], None, None, *whole[5:])


def _causes(shown: tuple[Explained, ...]) -> tuple[int, ...]:
    return tuple(sum(each.amount(cause) for each in shown) for cause in Cause)


def _rates(tx: Connection, query: Query, asked: ReportQuery) -> Section:
    known = [
        Reservation(credits=row.credits, reserved_at=row.reserved_at, matched_at=row.matched_at)
        for row in query.rows(tx)
        if asked.covers(row.reserved_at)
    ]
    found = [completeness.rate(known, within=span, as_of=asked.as_of) for span in completeness.WITHIN]
    rows: list[tuple[Cell, ...]] = [
        (f"{int(rate.within.total_seconds()) // 3600} h", rate.due, rate.matched, rate.share) for rate in found
    ]
    return Section(name="completeness", columns=_RATES, rows=rows)
