"""Checked requests and faults until they are written or shown: on disk when they are many, to bound memory."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from uuid import UUID

from worker.core.rules.fault import Fault
from worker.core.rules.models_catalogue import MODELS
from worker.core.rules.states import JobState
from worker.core.rules.text import canonical, canonical_values
from worker.intake.rules.request import JobRequest, canonical_references, fingerprint
from worker.storage.spool import SpoolFolder

_IN_MEMORY_BYTES = 8_000_000


class Spool:
    """Written once, read once or more; its hash tells one manifest from another."""

    def __init__(self, folder: SpoolFolder) -> None:
        """Start empty; the file goes when the spool does."""
        self._folder = folder
        self._file = folder.file(in_memory_bytes=_IN_MEMORY_BYTES)
        self._digest = hashlib.sha256()
        self.count = 0

    def add(self, request: JobRequest, references: Sequence[str]) -> None:
        """Keep one request, as the row that it will be."""
        self._digest.update(_identity(request, references))
        with self._folder.translated():
            self._file.write(row_of(request, references))
        self.count += 1

    @property
    def content_hash(self) -> str:
        """The SHA-256, in hex, of all requests in their order."""
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the rows in their order, from the first."""
        self._file.seek(0)
        yield from self._file

    def close(self) -> None:
        """Give the disk space back."""
        self._file.close()


def _identity(request: JobRequest, references: Sequence[str]) -> bytes:
    """Return what tells the request from others, for ever the same: batches of earlier versions have hashes over it."""
    parts = (
        str(request.line),
        canonical(request.key),
        canonical(request.prompt),
        canonical(request.model),
        canonical_values(request.params),
        canonical_references(references),
        canonical(request.metadata),
    )
    return f"[{','.join(parts)}]\n".encode()


COPY = """
    COPY job (id, batch_id, state, created_at, line, key, model, prompt, params, reference_hash,
              further_references, extra, fingerprint, price) FROM STDIN WITH (ENCODING 'UTF8')"""
_AT_ONCE = 1_000
"""Rows that are handed over together: each call of the driver costs more than a row does."""


def row_of(request: JobRequest, references: Sequence[str]) -> bytes:
    """Return what is known of a job's row, in the order of the columns from ``line`` on, with its line feed."""
    cells = (
        str(request.line),
        _escaped(request.key),
        request.model,
        _escaped(request.prompt),
        _escaped(canonical_values(request.params)),
        references[0] if references else "\\N",
        _array(references[1:]),
        _escaped(canonical(request.metadata)),
        fingerprint(request, references),
        str(MODELS[request.model].credits),
    )
    return ("\t".join(cells) + "\n").encode()


def completed(rows: Iterable[bytes], *, batch_id: UUID, now: datetime, new_id: Callable[[], UUID]) -> Iterator[bytes]:
    """Yield the rows with an id, their batch, state and time before them, many in each piece."""
    shared = f"\t{batch_id}\t{JobState.PENDING}\t{now.isoformat()}\t".encode()
    rest = iter(rows)
    while some := list(islice(rest, _AT_ONCE)):
        yield b"".join(new_id().hex.encode() + shared + row for row in some)


def _array(hashes: Sequence[str]) -> str:
    return f"{{{','.join(hashes)}}}" if hashes else "\\N"


def _escaped(text: str) -> str:
    """Write what COPY's text format would take for its own signs with a backslash (PostgreSQL, COPY, text format)."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


_FAULTS_IN_MEMORY_BYTES = 4_000_000


class FaultSpool(Collection[Fault]):
    """Faults of lines, in a temporary file: written once, read any number of times."""

    def __init__(self, folder: SpoolFolder) -> None:
        """Start with none; the file goes when the spool does."""
        self._folder = folder
        self._file = folder.file(in_memory_bytes=_FAULTS_IN_MEMORY_BYTES)
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
