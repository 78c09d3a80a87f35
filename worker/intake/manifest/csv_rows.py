"""A CSV manifest is a header and rows; the delimiter is what the header is parted by."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from worker.core.rules.fault import Fault, quoted
from worker.intake.manifest.lines import LINE_MAX_BYTES, Line, Row
from worker.intake.rules.column_names import header, in_known_case, near

_DELIMITERS = ",;\t"
_EXCEL = re.compile(r'"?sep=([,;\t|])"?', re.IGNORECASE)
"""The line that tells Excel the delimiter; it is no part of the data."""


def csv_rows(lines: Iterable[Line | Fault], required: str | None = None) -> Iterator[Row | Fault]:
    """Every row that holds anything; a bad header is the only thing reported when there is one.

    ``required`` is the column that must be there. Without it the rows are requests: they need a prompt, and their
    columns are known whatever the capitals of the header.
    """
    records = _Records(lines)
    names: list[str] | None = None
    for found in records:
        if isinstance(found, Fault):
            yield found
            if names is None:
                return
        elif names is None:
            names = [header(cell) if required else in_known_case(header(cell)) for cell in found.cells]
            faults = tuple(_header_faults(names, found.line, required or "prompt"))
            yield from faults
            if faults:
                return
        else:
            yield _row(names, found)


class _Record:
    def __init__(self, line: int, cells: list[str]) -> None:
        self.line = line
        self.cells = cells


class _LineFaultError(Exception):
    """Carries the fault of a line through the csv module, which asks for lines in the midst of a row."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


class _Records:
    """Feeds lines to the csv module and knows where each row began."""

    def __init__(self, lines: Iterable[Line | Fault]) -> None:
        self._lines = iter(lines)
        self._delimiter = ""
        self._first = 0
        self._last = 0
        self._size = 0
        self._is_at_end = False

    def __iter__(self) -> Iterator[_Record | Fault]:
        reader = self._reader()
        while True:
            self._first = self._size = 0
            try:
                cells = next(reader)
            except StopIteration:
                return
            except _LineFaultError as error:
                reader = self._reader()
                yield error.fault
            except csv.Error as error:
                reader = self._reader()
                yield Fault(line=self._first, reason=self._reason(error))
            else:
                if any(cells):
                    yield _Record(self._first, cells)

    def _reader(self) -> Iterator[list[str]]:
        if not self._delimiter:
            return self._sniffing_reader()
        return csv.reader(self._texts(), delimiter=self._delimiter, strict=True)

    def _sniffing_reader(self) -> Iterator[list[str]]:
        first = self._filled()
        if first is not None and (named := _EXCEL.fullmatch(first.strip("\r\n "))):
            self._delimiter = named[1]
            first = self._filled()
        if first is None:
            return
        header = first
        self._delimiter = self._delimiter or max(_DELIMITERS, key=lambda delimiter: len(_cells(header, delimiter)))
        yield from csv.reader(self._texts(first), delimiter=self._delimiter, strict=True)

    def _filled(self) -> str | None:
        """Return the next line with anything on it."""
        while (text := next(self._texts(), None)) is not None and not text.strip():
            self._first = self._size = 0
        return text

    def _texts(self, *ahead: str) -> Iterator[str]:
        yield from ahead
        for line in self._lines:
            if isinstance(line, Fault):
                raise _LineFaultError(line)
            self._first = self._first or line.number
            self._last = line.number
            self._size += len(line.text)
            if self._size > LINE_MAX_BYTES:
                raise _LineFaultError(Fault(line=self._first, reason=self._unclosed()))
            yield line.text
        self._is_at_end = True

    def _reason(self, error: csv.Error) -> str:
        return self._unclosed() if self._is_at_end else f"is not CSV: {error}"

    def _unclosed(self) -> str:
        return (
            f"opens a quoted cell that is never closed: lines {self._first} to {self._last} were read "
            'as one row; close it with " and write a quote inside it as ""'
        )


def _cells(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error:
        return []


def _header_faults(names: list[str], line: int, required: str) -> Iterator[Fault]:
    for place, name in enumerate(names, start=1):
        if not name:
            yield Fault(line=line, reason=f"the header's cell {place} is empty; name the column or remove it")
    for name, times in Counter(names).items():
        if name and times > 1:
            yield Fault(line=line, field=name, reason=f"the header names this column {times} times")
    if required not in names:
        shown = ", ".join(quoted(name) for name in names[:20])
        meant = next((name for name in names if near(name, [required])), None)
        hint = "" if meant is None else f" (did you mean {quoted(meant)}?)"
        yield Fault(line=line, field=required, reason=f"the header has no such column{hint}; it has {shown}")


def _row(names: list[str], record: _Record) -> Row | Fault:
    if len(record.cells) != len(names):
        reason = f"has {len(record.cells)} cells, the header has {len(names)}; quote a cell that holds a delimiter"
        return Fault(line=record.line, reason=reason)
    return Row(line=record.line, raw=dict(zip(names, record.cells, strict=True)))
