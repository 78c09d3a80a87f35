"""Reconcile: first our own sums against the rows, then the wallet's every change against our entries."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row

from worker.audit.queries import flows, paid_attempts
from worker.audit.queries.query import Query
from worker.audit.reports.report import ALL_DAYS, Cell, Report, ReportQuery, Section, added_up, columns
from worker.audit.reports.trial_balance import bridge
from worker.audit.reports.wallets import Wallet, wallets
from worker.audit.rules import reporting
from worker.audit.rules.reconciliation import Cause, Claim, Explained
from worker.audit.rules.reporting import Reservation, age_class

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
_CANDIDATES = columns(
    "account begins_at:instant ends_at:instant ambiguous:credits credits:credits held_at:instant known"
    " batch key batch_id job_id generation_id"
)
_RATES = columns("within due:credits matched:credits share")


def reconcile(tx: Connection, asked: ReportQuery) -> Report:
    """Return the comparison with its proof, its intervals, the variances and the completeness rate."""
    near_s = NEAR_S if asked.near_s is None else asked.near_s
    top_up_from = TOP_UP_FROM if asked.top_up_from is None else asked.top_up_from
    own, reserved = flows.rolled_up(asked.scope), paid_attempts.reservations(asked.scope)
    readings = flows.readings(as_of=asked.as_of)
    moved = flows.moved(as_of=asked.as_of, near_s=near_s)
    doubts, accounts = paid_attempts.doubtful(asked.scope), flows.per_account(asked.scope)
    read, happened, doubtful = readings.rows(tx), moved.rows(tx), doubts.rows(tx)
    found = wallets(read, happened, doubtful, asked, top_up_from=top_up_from)
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
            _candidates(found, doubtful),
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


def _candidates(found: list[Wallet], doubtful: Sequence[Row[Any]]) -> Section:
    """Show what each interval's ambiguous credits may have been; a hold may stand beside several intervals."""
    known = {row.generation_id: row for row in doubtful}
    rows = [
        _candidate(wallet.account, each, claim, known[claim.generation_id])
        for wallet in found
        for each in wallet.shown
        for claim in each.candidates
    ]
    return Section(name="candidates", columns=_CANDIDATES, rows=rows, totals=None)


def _candidate(account: str, each: Explained, claim: Claim, row: Row[Any]) -> tuple[Cell, ...]:
    what = (
        "decided by a person" if row.corrected else "answered late" if claim.booked_in is not None else "not answered"
    )
    ambiguous = each.amount(Cause.AMBIGUOUS)
    interval = each.interval
    place = (account, interval.begins_at, interval.ends_at, ambiguous, claim.credits, row.held_at, what)
    return (*place, row.batch, row.key, row.batch_id, row.job_id, row.generation_id)


def _causes(shown: tuple[Explained, ...]) -> tuple[int, ...]:
    return tuple(sum(each.amount(cause) for each in shown) for cause in Cause)


def _rates(tx: Connection, query: Query, asked: ReportQuery) -> Section:
    known = [
        Reservation(credits=row.credits, reserved_at=row.reserved_at, matched_at=row.matched_at)
        for row in query.rows(tx)
        if asked.covers(row.reserved_at)
    ]
    found = [reporting.settlement_rate(known, within=span, as_of=asked.as_of) for span in reporting.WITHIN]
    rows: list[tuple[Cell, ...]] = [
        (f"{int(rate.within.total_seconds()) // 3600} h", rate.due, rate.matched, rate.share) for rate in found
    ]
    return Section(name="completeness", columns=_RATES, rows=rows)


OPEN_TOO_LONG = timedelta(hours=1)
"""What is younger is work in progress and no variance."""


class Variance(StrEnum):
    """What is unusual about a generation."""

    RESERVED = "reserved differs from hold"
    """The provider reserved more (above zero) or less than the price that was promised."""
    FINAL = "final differs from reserved"
    """The provider charged more (above zero) or less than it had reserved, but something."""
    REFUNDED = "refunded in full"
    """The generation failed and cost nothing."""
    UNSETTLED = "reserved and never settled"
    """Its outcome has been unknown for an hour."""
    UNDECIDED = "held and never answered"
    """Perhaps in doubt: `darkroom audit in-doubt` has the evidence."""
    NO_IMAGE = "paid for, no image stored"
    """The credits are spent; the image could not be downloaded, or there never was one."""
    CORRECTED = "corrected by a person"
    """Entries with a name and a reason stand beside it: what they added to reserved and spent, or took from them."""


_COLUMNS = columns(
    "variance credits:credits since:instant age batch key batch_id job_id generation_id",
)


def variances(tx: Connection, asked: ReportQuery) -> tuple[Section, Query]:
    """Return one row for each variance of each generation held on the days, oldest first, and the query behind them."""
    query = paid_attempts.variances(asked.scope)
    rows: list[tuple[Cell, ...]] = [
        (
            variance.value,
            credits_,
            row.held_at,
            age_class(asked.as_of - row.held_at).value,
            row.batch,
            row.key,
            row.batch_id,
            row.job_id,
            row.generation_id,
        )
        for row in query.rows(tx)
        if asked.covers(row.held_at)
        for variance, credits_ in _of(row, asked)
    ]
    return Section(name="variances", columns=_COLUMNS, rows=rows, totals=added_up(_COLUMNS, rows)), query


def _of(row: Row[Any], asked: ReportQuery) -> Iterator[tuple[Variance, int]]:
    is_old = asked.as_of - row.held_at >= OPEN_TOO_LONG
    if row.top_up != row.trim:
        yield Variance.RESERVED, row.top_up - row.trim
    if row.release and row.settle + row.overrun == 0:
        yield Variance.REFUNDED, -row.release
    elif row.overrun != row.release:
        yield Variance.FINAL, row.overrun - row.release
    if row.in_held and is_old:
        yield Variance.UNDECIDED, row.in_held
    if row.in_reserved and is_old:
        yield Variance.UNSETTLED, row.in_reserved
    if row.in_spent and not row.has_image and is_old:
        yield Variance.NO_IMAGE, row.in_spent
    if row.corrections:
        yield Variance.CORRECTED, row.corrected
