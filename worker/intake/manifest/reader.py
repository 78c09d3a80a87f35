"""Reading a manifest gives its rows in order, each with its line, and a fault for each line that is none."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NoReturn

from worker.core.rules.fault import Fault, quoted
from worker.intake.manifest.csv_rows import csv_rows
from worker.intake.manifest.lines import Line, Row, lines
from worker.intake.manifest.source import Form, ManifestError, opened


def json_rows(lines: Iterable[Line | Fault]) -> Iterator[Row | Fault]:
    """Every object as a row, every other line that is not blank as a fault."""
    for line in lines:
        if isinstance(line, Fault):
            yield line
        elif line.text.strip():
            yield _row(line)


class _RefusedError(ValueError):
    """JSON that the parser would take and that does not mean one thing."""


def _row(line: Line) -> Row | Fault:
    try:
        value = _DECODER.decode(line.text)
    except json.JSONDecodeError as error:
        reason = f"is not JSON at column {error.colno}: {error.msg}; write one whole object on each line"
        return Fault(line=line.number, reason=reason)
    except _RefusedError as error:
        return Fault(line=line.number, reason=str(error))
    except RecursionError:
        return Fault(line=line.number, reason="is nested too deeply")
    except ValueError:
        # The one other ValueError of the parser is Python's limit on the digits of an integer.
        return Fault(line=line.number, reason="holds a number with too many digits")
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
            raise ManifestError(source.name, "holds no request below its header or between its blank lines")
