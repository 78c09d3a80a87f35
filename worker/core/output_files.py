"""Files that Darkroom writes for people: CSV in which no text is a formula, and the mode that the umask gives."""

import csv
import os
import re
from collections.abc import Iterable
from io import StringIO
from pathlib import Path

_FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")  # noqa: RUF001 - the full-width signs are formulas as well
"""How a text begins that a spreadsheet would carry out (OWASP, "CSV Injection"), with any apostrophes before it."""
_NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{1,15})?", re.ASCII)


def csv_line(cells: Iterable[object], *, line_end: str = "\r\n") -> str:
    """Return the cells as one line; a text that a spreadsheet would take for a formula gets an apostrophe before it.

    Numbers stay what they are, also one that is written as text. What begins with an apostrophe before a formula gets
    one more, so that different texts are different cells: taking one off gives the text again.
    """
    buffer = StringIO(newline="")
    csv.writer(buffer, lineterminator=line_end).writerow([_without_formula(cell) for cell in cells])
    return buffer.getvalue()


def _without_formula(cell: object) -> object:
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


_STATUS = Path("/proc/self/status")


def file_mode() -> int:
    """Return the permission bits of a new file, as the umask leaves them."""
    return 0o666 & ~umask()


def folder_mode() -> int:
    """Return the permission bits of a new folder, as the umask leaves them."""
    return 0o777 & ~umask()


def umask() -> int:
    """Return the process's umask."""
    try:
        found = re.search(r"^Umask:\s*([0-7]+)", _STATUS.read_text(encoding="ascii", errors="replace"), re.MULTILINE)
    except OSError:
        found = None
    if found is not None:
        return int(found[1], 8)
    # Elsewhere it can only be read by setting it, which a file that another thread makes just now would feel.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
