"""Write all faults of a manifest to a file, as CSV or JSON lines by its extension."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from worker.cli.atomic_file import write_whole
from worker.cli.errors import MISUSED, CliError
from worker.cli.lookup import fault_as_json
from worker.core.rules.fault import Fault

COLUMNS = ("line", "key", "field", "reason", "permitted")
_JSON_SUFFIXES = (".jsonl", ".ndjson")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a text begins that a spreadsheet would carry out (OWASP, CSV injection)."""


def check_name(path: Path) -> None:
    """Raise CliError, before a million lines are read, when the ending says no form."""
    if path.suffix.lower() not in {".csv", *_JSON_SUFFIXES}:
        raise CliError(f"--faults {path} must end in .csv, .jsonl or .ndjson", MISUSED)


def write(faults: Iterable[Fault], path: Path) -> None:
    """All faults are in the file, or it is as it was; raises OSError."""
    write_whole(path, lambda file: _as_json(faults, file) if path.suffix.lower() != ".csv" else _as_csv(faults, file))


def _as_json(faults: Iterable[Fault], file: IO[str]) -> None:
    file.writelines(json.dumps(fault_as_json(fault)) + "\n" for fault in faults)


def _as_csv(faults: Iterable[Fault], file: IO[str]) -> None:
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for fault in faults:
        texts = (fault.key or "", fault.field, fault.reason, ", ".join(fault.permitted))
        writer.writerow([fault.line, *map(_safe, texts)])


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
