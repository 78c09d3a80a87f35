"""A report as CSV (RFC 4180, UTF-8): all sections below each other, in the columns of all of them."""

import csv
from io import StringIO

from worker.audit.rendering.cells import exact
from worker.audit.reports.report import Cell, Report

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a text begins that a spreadsheet would carry out (OWASP, CSV injection)."""


def as_csv(report: Report) -> bytes:
    """Return one line per row; a text that a spreadsheet would take for a formula gets an apostrophe before it."""
    names = list(dict.fromkeys(column.name for section in report.sections for column in section.columns))
    place = {name: at for at, name in enumerate(names)}
    out = StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(["section", *names])
    for section in report.sections:
        places = [place[column.name] for column in section.columns]
        for row in section.rows:
            line = [""] * len(names)
            for at, cell in zip(places, row, strict=True):
                line[at] = _safe(cell)
            writer.writerow([section.name, *line])
    return out.getvalue().encode()


def _safe(cell: Cell) -> str:
    text = exact(cell)
    return f"'{text}" if isinstance(cell, str) and text.startswith(_FORMULA) else text
