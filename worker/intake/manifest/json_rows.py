"""A JSONL manifest is one object to a line; blank lines are skipped and still counted."""

import json
from collections.abc import Iterable, Iterator
from typing import NoReturn

from worker.core.rules.fault import Fault, quoted
from worker.intake.manifest.lines import Line, Row


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
