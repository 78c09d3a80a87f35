"""Checked requests between the check and the write: on disk when they are many, so that memory stays flat."""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from worker.domain.request import JobRequest

_IN_MEMORY_BYTES = 8_000_000

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, kw_only=True, slots=True)
class SpooledRequest:
    """One request with the hash of its reference's bytes."""

    request: JobRequest
    reference_hash: str | None


class Spool:
    """Written once, read once or more; its hash tells one manifest from another."""

    def __init__(self) -> None:
        """Start empty; the file goes when the spool does."""
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES, mode="w+b")  # noqa: SIM115
        self._digest = hashlib.sha256()
        self.count = 0

    def add(self, request: JobRequest, reference_hash: str | None) -> None:
        """Keep one request."""
        line = _encode(request, reference_hash)
        self._digest.update(line)
        self._file.write(line)
        self.count += 1

    @property
    def content_hash(self) -> str:
        """The SHA-256, in hex, of all requests in their order."""
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[SpooledRequest]:
        """Give the requests in their order, from the first."""
        self._file.seek(0)
        for line in self._file:
            yield _decode(json.loads(line))

    def close(self) -> None:
        """Give the disk space back."""
        self._file.close()


def _encode(request: JobRequest, reference_hash: str | None) -> bytes:
    values = [
        request.line,
        request.key,
        request.prompt,
        request.model,
        dict(request.params),
        reference_hash,
        dict(request.metadata),
    ]
    return _CANONICAL.encode(values).encode() + b"\n"


def _decode(values: list[Any]) -> SpooledRequest:
    line, key, prompt, model, params, reference_hash, metadata = values
    request = JobRequest(
        line=line, key=key, prompt=prompt, model=model, params=params, reference=None, metadata=metadata
    )
    return SpooledRequest(request=request, reference_hash=reference_hash)
