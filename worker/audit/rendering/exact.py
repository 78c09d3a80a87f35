"""Reports as exact text: cells, CSV and JSON."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from worker.audit.reports.report import Cell, Column, Report, Section
from worker.core.output_files import csv_line
from worker.core.rules.errors import DarkroomError


class Unfit(DarkroomError):
    """This report cannot be printed in this format; the text says why and what to do."""

    error_code = "format_unsuitable"

    def __init__(self, reason: str) -> None:
        """Keep the reason."""
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        """Return the message."""
        return self.reason


def exact(cell: Cell) -> str:
    """Return the cell in full: nothing is empty, an instant has its microseconds."""
    if cell is None:
        return ""
    return instant(cell) if isinstance(cell, datetime) else str(cell)


def instant(value: datetime) -> str:
    """Return an instant as ISO 8601 in UTC, always with six places, so that texts sort as times do."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def as_csv(report: Report) -> bytes:
    """Return one line per row."""
    names = list(dict.fromkeys(column.name for section in report.sections for column in section.columns))
    place = {name: at for at, name in enumerate(names)}
    lines = [csv_line(["section", *names])]
    for section in report.sections:
        places = [place[column.name] for column in section.columns]
        for row in section.rows:
            line: list[object] = [""] * len(names)
            for at, cell in zip(places, row, strict=True):
                line[at] = _csv_value(cell)
            lines.append(csv_line([section.name, *line]))
    return "".join(lines).encode()


def _csv_value(cell: Cell) -> str | int:
    return cell if isinstance(cell, int) else exact(cell)


def as_json(report: Report) -> bytes:
    """Return the report as one JSON object that ends with a newline."""
    return written(
        {
            "report": report.name,
            "title": report.title,
            "as_of": instant(report.as_of),
            "parameters": dict(report.parameters),
            "sections": {section.name: _json_section(section) for section in report.sections},
        }
    )


def written(document: Mapping[str, object]) -> bytes:
    """Return a JSON document in canonical form, as it is hashed; reading and writing it again gives the same bytes."""
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()


def _json_section(section: Section) -> dict[str, object]:
    found: dict[str, object] = {} if section.note is None else {"note": section.note}
    found["rows"] = [_object(section.columns, row) for row in section.rows]
    if section.totals is not None:
        found["totals"] = _object(section.columns, section.totals)
    return found


def _object(columns: Sequence[Column], row: Sequence[Cell]) -> dict[str, str | int | None]:
    return {column.name: _json_value(cell) for column, cell in zip(columns, row, strict=True)}


def _json_value(cell: Cell) -> str | int | None:
    return cell if cell is None or isinstance(cell, int) else exact(cell)
