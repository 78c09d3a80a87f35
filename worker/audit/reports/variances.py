"""Variances: the generations whose figures differ from what was promised, or that were paid for without an image."""

from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row

from worker.audit.queries import paid_attempts
from worker.audit.queries.query import Query
from worker.audit.reports.report import Cell, Section, added_up, columns
from worker.audit.reports.report_query import ReportQuery
from worker.audit.rules.ageing import age_class

PATIENCE = timedelta(hours=1)
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
    """Nobody has said for an hour what became of it."""
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
    is_old = asked.as_of - row.held_at >= PATIENCE
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
