"""The sandbox's memory on disk: one JSON line per fact, appended, read back at the next start."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Journal:
    """An append-only file; a line that was written survives the death of the process."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "journal.jsonl"
        _cut_torn_line(self._path)
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def read(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every fact so far, oldest first: what happened, and its data."""
        with self._path.open(encoding="ascii") as lines:
            for line in lines:
                event, data = json.loads(line)
                yield event, data

    def write(self, event: str, data: dict[str, Any]) -> None:
        """The fact is with the operating system when this returns; it is not flushed to the disk."""
        os.write(self._fd, json.dumps([event, data], separators=(",", ":")).encode("ascii") + b"\n")

    def close(self) -> None:
        """Nothing can be written any more."""
        os.close(self._fd)


class NoJournal(Journal):
    """A memory that forgets."""

    def __init__(self) -> None:
        """Opens nothing."""

    def read(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """No facts."""
        return iter(())

    def write(self, event: str, data: dict[str, Any]) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Nothing was open."""


def _cut_torn_line(path: Path) -> None:
    if not path.exists():
        return
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    if end < len(data):
        os.truncate(path, end)
