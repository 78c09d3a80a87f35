"""Read manifests: numbered lines in bounded memory, CSV or JSON lines, each row with its line number."""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from worker.core.rules.fault import Fault, UnfitError, quoted
from worker.intake.manifest.source import Form, ManifestError, opened
from worker.intake.rules.column_names import header, in_known_case, near


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One physical line with its ending; numbers count from 1."""

    number: int
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One request as it was written, not yet checked; ``line`` is where it begins."""

    line: int
    raw: Mapping[str, object]


def json_rows(lines: Iterable[Line | Fault]) -> Iterator[Row | Fault]:
    """Every object as a row, every other line that is not blank as a fault."""
    for line in lines:
        if isinstance(line, Fault):
            yield line
        elif line.text.strip():
            yield _row(line)


def numbered(requests: Iterable[object]) -> Iterator[Row | Fault]:
    """Number requests that are no text from 1; what is not an object is a fault."""
    for line, raw in enumerate(requests, start=1):
        if isinstance(raw, Mapping):
            yield Row(line=line, raw=raw)
        else:
            yield Fault(line=line, field="request", reason="is not an object with the columns of a manifest")


class _RefusedError(ValueError):
    """JSON that the parser would take and that does not mean one thing."""


def decode_json(text: str) -> object:
    """Return the value; raise json.JSONDecodeError, and UnfitError for JSON that does not mean one thing."""
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError:
        raise
    except _RefusedError as error:
        raise UnfitError(str(error)) from None
    except RecursionError:
        raise UnfitError("is nested too deeply") from None
    except ValueError:
        # The one other ValueError of the parser is Python's limit on the digits of an integer.
        raise UnfitError("holds a number with too many digits") from None


def _row(line: Line) -> Row | Fault:
    try:
        value = decode_json(line.text)
    except json.JSONDecodeError as error:
        reason = f"is not JSON at column {error.colno}: {error.msg}; write one whole object on each line"
        return Fault(line=line.number, reason=reason)
    except UnfitError as unfit:
        return Fault(line=line.number, reason=unfit.reason)
    if not isinstance(value, dict):
        return Fault(line=line.number, reason=f"is a JSON {type(value).__name__}, not an object in braces")
    return Row(line=line.number, raw=value)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise _RefusedError(f"names {quoted(name)} twice in one object")
        found[name] = value
    return found


def _constant(name: str) -> NoReturn:
    raise _RefusedError(f"holds {name}, which is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def read(where: Path | BinaryIO, *, form: Form | None = None, required: str | None = None) -> Iterator[Row | Fault]:
    """Every row and fault, lazily; the file is closed at the end.

    ``where`` is a path, or an open binary stream such as standard input, which stays open. The form comes
    from ``form``, else from the file's ending, else from the first bytes; gzip is known by its first bytes.
    A CSV header must have the ``required`` column, without one that of the prompt.
    Raises ManifestError, at the first step of the iteration, for a manifest that cannot be read at all.
    """
    with opened(where, form, required or "prompt") as source:
        numbered = lines(source.stream)
        is_empty = True
        for row in csv_rows(numbered, required) if source.form is Form.CSV else json_rows(numbered):
            is_empty = False
            yield row
        if is_empty:
            raise ManifestError(source.name, "contains no requests")


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
            yield _csv_row(names, found)


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


def _csv_row(names: list[str], record: _Record) -> Row | Fault:
    if len(record.cells) != len(names):
        reason = f"has {len(record.cells)} cells, the header has {len(names)}; quote a cell that holds a delimiter"
        return Fault(line=record.line, reason=reason)
    return Row(line=record.line, raw=dict(zip(names, record.cells, strict=True)))


LINE_MAX_BYTES = 1_048_576
"""Longest line, and longest row of a CSV file that spreads over several lines."""
_BOM = b"\xef\xbb\xbf"


def lines(stream: BinaryIO) -> Iterator[Line | Fault]:
    """Every line of the stream, blank ones too, without a byte order mark."""
    number = 0
    while data := stream.readline(LINE_MAX_BYTES + 1):
        number += 1
        if len(data) > LINE_MAX_BYTES:
            _skip_rest(stream, data)
            yield Fault(line=number, reason=f"is longer than {LINE_MAX_BYTES:,} bytes")
        else:
            yield _decoded(data.removeprefix(_BOM) if number == 1 else data, number)


def _decoded(data: bytes, number: int) -> Line | Fault:
    try:
        return Line(number=number, text=data.decode())
    except UnicodeDecodeError as error:
        place = f"byte {error.start + 1} is 0x{data[error.start]:02x}"
        return Fault(line=number, reason=f"is not UTF-8 ({place}); save the file as UTF-8")


def _skip_rest(stream: BinaryIO, data: bytes) -> None:
    while data and not data.endswith(b"\n"):
        data = stream.readline(LINE_MAX_BYTES)
