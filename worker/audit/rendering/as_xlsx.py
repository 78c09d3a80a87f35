"""A report as a workbook: one sheet about it, and one per section."""

from datetime import datetime
from io import BytesIO

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from worker.audit.rendering.exact import Unfit, exact, instant
from worker.audit.reports.report import Cell, Report, Section

_ROWS_MAX = 1_048_576
"""Rows of a sheet (Excel specifications and limits)."""
_MADE_AT = datetime(2000, 1, 1)  # noqa: DTZ001 - the file's own date is a constant, so that its bytes are
_OPTIONS = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
_WIDEST = 60


def as_xlsx(report: Report) -> bytes:
    """Return the bytes of the workbook; times are texts in UTC, credits are numbers."""
    for section in report.sections:
        if len(section.rows) + 2 > _ROWS_MAX:
            raise Unfit(
                f"{len(section.rows):,} rows do not go into a sheet: use --format csv, or fewer rows with --batch"
            )
    out = BytesIO()
    book = Workbook(out, _OPTIONS)
    book.set_properties({"title": report.title, "created": _MADE_AT})
    bold = book.add_format({"bold": True})
    _about(book.add_worksheet("about"), report, bold)
    for section in report.sections:
        _section(book.add_worksheet(section.name[:31]), section, bold)
    book.close()
    return out.getvalue()


def _about(sheet: Worksheet, report: Report, bold: Format) -> None:
    lines = {"report": report.title, "as of": instant(report.as_of)} | {
        name: str(value) for name, value in report.parameters.items()
    }
    for at, (name, value) in enumerate(lines.items()):
        sheet.write_string(at, 0, name, bold)
        sheet.write_string(at, 1, value)
    sheet.set_column(0, 1, 30)


def _section(sheet: Worksheet, section: Section, bold: Format) -> None:
    for at, column in enumerate(section.columns):
        sheet.write_string(0, at, column.name, bold)
        longest = max((len(exact(row[at])) for row in section.rows[:100]), default=0)
        sheet.set_column(at, at, min(_WIDEST, max(longest, len(column.name)) + 2))
    for number, row in enumerate(section.rows, start=1):
        _row(sheet, number, row, None)
    if section.totals is not None:
        _row(sheet, len(section.rows) + 1, section.totals, bold)
    sheet.freeze_panes(1, 0)


def _row(sheet: Worksheet, number: int, row: tuple[Cell, ...], style: Format | None) -> None:
    for at, cell in enumerate(row):
        if isinstance(cell, int):
            sheet.write_number(number, at, cell, style)
        elif cell is not None:
            sheet.write_string(number, at, exact(cell), style)
