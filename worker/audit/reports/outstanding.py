"""Outstanding: which credits are held or reserved and not yet decided, how old they are, the oldest first."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row

from worker.audit.queries import paid_attempts
from worker.audit.reports.report import Cell, Report, ReportQuery, Section, added_up, columns
from worker.audit.rules.reporting import AgeClass, age_class

_CLASSES = columns("age generations:count held:credits reserved:credits outstanding:credits")
_OPEN = columns(
    "held_at:instant age age_s:count held:credits reserved:credits batch owner account key number:count"
    " batch_id job_id generation_id"
)


def outstanding(tx: Connection, asked: ReportQuery) -> Report:
    """Return the open amounts by class of age, and each of them."""
    query = paid_attempts.open_amounts(asked.scope)
    rows = [_open(row, asked) for row in query.rows(tx)]
    classes = [_class(rows, each) for each in AgeClass]
    return Report(
        name=asked.report,
        title="Outstanding credits",
        as_of=asked.as_of,
        parameters=asked.parameters,
        sections=(
            Section(name="ages", columns=_CLASSES, rows=classes, totals=added_up(_CLASSES, classes)),
            Section(name="generations", columns=_OPEN, rows=rows, totals=_totals(rows)),
        ),
        queries=(query,),
    )


def _open(row: Row[Any], asked: ReportQuery) -> tuple[Cell, ...]:
    age = asked.as_of - row.held_at
    return (
        row.held_at,
        age_class(age).value,
        int(age.total_seconds()),
        row.in_held,
        row.in_reserved,
        row.batch,
        row.owner,
        row.account,
        row.key,
        row.number,
        row.batch_id,
        row.job_id,
        row.generation_id,
    )


def _class(rows: Sequence[tuple[Any, ...]], of: AgeClass) -> tuple[Cell, ...]:
    members = [row for row in rows if row[1] == of]
    held, reserved = sum(row[3] for row in members), sum(row[4] for row in members)
    return (of.value, len(members), held, reserved, held + reserved)


def _totals(rows: Sequence[tuple[Any, ...]]) -> tuple[Cell, ...]:
    held, reserved = sum(row[3] for row in rows), sum(row[4] for row in rows)
    return ("total", None, None, held, reserved, *(None for _ in _OPEN[5:]))
