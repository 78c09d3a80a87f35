"""Spend: per batch or per image what was promised, reserved, charged and given back, and where figures differ."""

from typing import Any

from sqlalchemy import Connection, Row

from worker.audit.queries import paid_attempts
from worker.audit.reports.report import Cell, Report, ReportQuery, Section, added_up, columns
from worker.audit.rules.reporting import SpendBy

# committed = hold - void + (reserved_less_hold) + (final_less_reserved) + corrected = held + reserved_open + spent.
_MONEY = (
    "hold:credits void:credits reserved:credits reserved_less_hold:credits refunded:credits overrun:credits"
    " final_less_reserved:credits corrected:credits spent:credits still_held:credits still_reserved:credits"
)
_RARE = frozenset({"void", "reserved_less_hold", "overrun", "corrected", "still_held", "still_reserved", "refunded"})
_BATCHES = columns(f"batch_id batch owner purpose images:count generations:count {_MONEY}", details=_RARE)
_IMAGES = columns(f"batch_id batch owner line key job_id model generations:count {_MONEY}", details=_RARE)


def spend(tx: Connection, asked: ReportQuery) -> Report:
    """Return one line per batch, or with ``by`` image one per job that ever had a hold."""
    is_per_image = asked.by is SpendBy.IMAGE
    query = (paid_attempts.spend_per_image if is_per_image else paid_attempts.spend_per_batch)(asked.scope)
    cols = _IMAGES if is_per_image else _BATCHES
    make = _image if is_per_image else _batch
    rows = [make(row) for row in query.rows(tx)]
    return Report(
        name=asked.report,
        title=f"Spend by {asked.by or SpendBy.BATCH}",
        as_of=asked.as_of,
        parameters=asked.parameters,
        sections=(
            Section(name="images" if is_per_image else "batches", columns=cols, rows=rows, totals=added_up(cols, rows)),
        ),
        queries=(query,),
    )


def _batch(row: Row[Any]) -> tuple[Cell, ...]:
    return (row.batch_id, row.batch, row.owner, row.purpose, row.jobs, row.generations, *_money(row))


def _image(row: Row[Any]) -> tuple[Cell, ...]:
    return (
        row.batch_id,
        row.batch,
        row.owner,
        str(row.line),
        row.key,
        row.job_id,
        row.model,
        row.generations,
        *_money(row),
    )


def _money(row: Row[Any]) -> tuple[Cell, ...]:
    return (
        row.hold,
        row.void,
        row.reserve + row.top_up,
        row.top_up - row.trim,
        row.release,
        row.overrun,
        row.overrun - row.release,
        row.corrected_up - row.corrected_down,
        row.in_spent,
        row.in_held,
        row.in_reserved,
    )
