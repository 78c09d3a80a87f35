"""Checked requests between the check and the write: on disk when they are many, so that memory stays flat."""

import hashlib
from collections.abc import Iterator, Sequence

from worker.core.rules.canonical import canonical, canonical_values
from worker.intake.job_rows import row_of
from worker.intake.rules.request import JobRequest, canonical_references
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
