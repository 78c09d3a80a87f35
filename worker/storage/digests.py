"""Size and hash of bytes that come in parts, or lie in a file."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

_CHUNK_BYTES = 1 << 20


def digest(chunks: Iterable[bytes]) -> tuple[int, str]:
    """Return the size in bytes and the lower-case hex SHA-256."""
    size, found = 0, hashlib.sha256()
    for chunk in chunks:
        size += len(chunk)
        found.update(chunk)
    return size, found.hexdigest()


def is_same(source: Path | bytes, size_bytes: int, chunks: Callable[[], Iterable[bytes]]) -> bool:
    """Return whether bytes of this size, which come in parts, are those of the source."""
    own_size = len(source) if isinstance(source, bytes) else source.stat().st_size
    return own_size == size_bytes and digest(chunks()) == digest(_chunks_of(source))


def _chunks_of(source: Path | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
