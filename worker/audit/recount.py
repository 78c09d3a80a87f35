"""What a printed report adds up to when it is read again: its rows, and the sum of each column of credits."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from io import StringIO
from typing import Any

from worker.audit.rules.reporting import Format


def recounted(body: bytes, as_format: Format, known: Mapping[str, int]) -> tuple[int, dict[str, int]] | None:
    """Return the rows and the sums of the ``known`` columns; None for a format that is only for reading.

    Raises ValueError for a body that is not in the format.
    """
    if as_format is Format.JSON:
        rows = list(_of_json(body))
    elif as_format is Format.CSV:
        rows = list(_of_csv(body))
    else:
        return None
    return len(rows), {name: _sum(rows, *name.split(".", 1)) for name in known}


def _of_json(body: bytes) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, section in json.loads(body)["sections"].items():
        for row in section["rows"]:
            yield name, row


def _of_csv(body: bytes) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for row in csv.DictReader(StringIO(body.decode(), newline="")):
        yield row["section"], row


def _sum(rows: Iterable[tuple[str, Mapping[str, Any]]], section: str, column: str) -> int:
    return sum(int(row[column] or 0) for name, row in rows if name == section)
