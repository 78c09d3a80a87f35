"""Faults of a manifest in the order of its lines: on disk when they are many, so that none has to be cut."""

import json
from collections.abc import Collection, Iterator

from worker.core.rules.fault import Fault
from worker.storage.spool import SpoolFolder

_IN_MEMORY_BYTES = 4_000_000


class FaultSpool(Collection[Fault]):
    """Written once, read once or more."""

    def __init__(self, folder: SpoolFolder) -> None:
        """Start with none; the file goes when the spool does."""
        self._folder = folder
        self._file = folder.file(in_memory_bytes=_IN_MEMORY_BYTES)
        self._count = 0
        self._last_line: int | None = None
        self.lines = 0
        """How many lines are at fault; a line may have several faults."""

    def add(self, fault: Fault) -> None:
        """Keep one fault, of the same line as the last one or of a later line."""
        values = [fault.line, fault.key, fault.field, fault.reason, fault.permitted]
        with self._folder.translated():
            self._file.write(json.dumps(values).encode() + b"\n")
        self._count += 1
        self.lines += fault.line != self._last_line
        self._last_line = fault.line

    def __len__(self) -> int:
        """How many faults there are."""
        return self._count

    def __contains__(self, fault: object) -> bool:
        """Whether it is one of them."""
        return any(fault == each for each in self)

    def __iter__(self) -> Iterator[Fault]:
        """Yield the faults in their order, from the first."""
        self._file.seek(0)
        for row in self._file:
            line, key, field, reason, permitted = json.loads(row)
            yield Fault(line=line, key=key, field=field, reason=reason, permitted=tuple(permitted))
