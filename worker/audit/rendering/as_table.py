"""A report as plain text for reading, of the same width everywhere."""

from collections.abc import Sequence
from datetime import UTC, datetime

from worker.audit.rendering.exact import exact, instant
from worker.audit.reports.report import Cell, Column, Report, Section

_LONGEST = 80
"""Characters of one cell; the other formats have all of it."""


def as_table(report: Report) -> bytes:
    """Return a heading, and below it every section with its totals."""
    asked = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in report.parameters.items())
    heading = [f"{report.title}, as of {instant(report.as_of)}"] + ([_visible(asked)] if asked else [])
    parts = [heading, *(_section(section) for section in report.sections)]
    return ("\n\n".join("\n".join(part) for part in parts) + "\n").encode()


def _section(section: Section) -> list[str]:
    title = _title(section.name) + (f" ({section.note})" if section.note else "")
    if not section.rows:
        return [f"{title}: none"]
    shown = [at for at, column in enumerate(section.columns) if _is_shown(section, at, column)]
    columns = [section.columns[at] for at in shown]
    rows = [section.rows, [section.totals]] if section.totals else [section.rows]
    body, *rest = [[[_text(row[at]) for at in shown] for row in part] for part in rows]
    lines = [[column.name.replace("_", " ") for column in columns], *body, *(line for part in rest for line in part)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    printed = [_line(line, columns, widths) for line in lines]
    rule = "-" * max(map(len, printed))
    foot = [rule, *printed[1 + len(body) :]] if rest else []
    return [title, printed[0], rule, *printed[1 : 1 + len(body)], *foot]


def _is_shown(section: Section, at: int, column: Column) -> bool:
    return not column.is_detail or any(row[at] not in {None, 0, ""} for row in section.rows)


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _line(cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    padded = (
        cell.rjust(width) if column.is_number else cell.ljust(width)
        for cell, column, width in zip(cells, columns, widths, strict=True)
    )
    return "  ".join(padded).rstrip()


def _text(cell: Cell) -> str:
    if isinstance(cell, datetime):
        return cell.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(cell, int):
        return f"{cell:,}"
    text = _visible(exact(cell))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _visible(text: str) -> str:
    """Escape what a terminal would act on."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
