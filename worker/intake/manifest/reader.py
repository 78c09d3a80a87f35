"""Reading a manifest gives its rows in order, each with its line, and a fault for each line that is none."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from worker.core.rules.fault import Fault
from worker.intake.manifest.csv_rows import csv_rows
from worker.intake.manifest.json_rows import json_rows
from worker.intake.manifest.lines import Row, lines
from worker.intake.manifest.source import Form, ManifestError, opened


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
