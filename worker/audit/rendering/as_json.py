"""A report as JSON (UTF-8, one line per row): every section with its rows as objects and its totals."""

import json
from collections.abc import Mapping, Sequence

from worker.audit.rendering.cells import exact, instant
from worker.audit.reports.report import Cell, Column, Report, Section


def as_json(report: Report) -> bytes:
    """Return the report as one JSON object that ends with a newline."""
    return written(
        {
            "report": report.name,
            "title": report.title,
            "as_of": instant(report.as_of),
            "parameters": dict(report.parameters),
            "sections": {section.name: _section(section) for section in report.sections},
        }
    )


def written(document: Mapping[str, object]) -> bytes:
    """Return a JSON document in the one form that it is hashed in; what was read from it is written the same again."""
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()


def _section(section: Section) -> dict[str, object]:
    found: dict[str, object] = {} if section.note is None else {"note": section.note}
    found["rows"] = [_object(section.columns, row) for row in section.rows]
    if section.totals is not None:
        found["totals"] = _object(section.columns, section.totals)
    return found


def _object(columns: Sequence[Column], row: Sequence[Cell]) -> dict[str, str | int | None]:
    return {column.name: _value(cell) for column, cell in zip(columns, row, strict=True)}


def _value(cell: Cell) -> str | int | None:
    return cell if cell is None or isinstance(cell, int) else exact(cell)
