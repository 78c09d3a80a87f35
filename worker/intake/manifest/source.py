"""A source is the bytes of a manifest, unpacked, and the form that they are in."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, cast

from worker.core.rules.errors import DarkroomError

_GZIP = b"\x1f\x8b"
_HEAD_BYTES = 4_096
_FOREIGN = {
    b"PK\x03\x04": "a spreadsheet or an archive; export it as CSV in UTF-8",
    b"\xff\xfe": "UTF-16; save it as UTF-8",
    b"\xfe\xff": "UTF-16; save it as UTF-8",
}
_PERMITTED = "permitted: .csv, .tsv, .jsonl, .ndjson, each also with .gz"


class Form(StrEnum):
    """How a manifest is written."""

    CSV = "csv"
    """A header and one row to a request; cells parted by a comma, a semicolon or a tab."""
    JSONL = "jsonl"
    """One JSON object to a line."""


_BY_SUFFIX = {".csv": Form.CSV, ".tsv": Form.CSV, ".jsonl": Form.JSONL, ".ndjson": Form.JSONL}


class ManifestError(DarkroomError):
    """The manifest as a whole cannot be read; carries the name of it and the reason with a next step."""

    error_code = "manifest_unreadable"

    def __init__(self, name: str, reason: str) -> None:
        """Keep both; positional, so that the error pickles."""
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        """Name the manifest, then the reason."""
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """An open manifest."""

    name: str
    form: Form
    stream: BinaryIO


@contextmanager
def opened(where: Path | BinaryIO, form: Form | None, required: str = "prompt") -> Iterator[Source]:
    """An open manifest, closed at the end when it is a file; raises ManifestError, also for broken gzip."""
    name = str(where) if isinstance(where, Path) else "standard input"
    path = where if isinstance(where, Path) else None
    try:
        with ExitStack() as stack:
            packed = stack.enter_context(where.open("rb")) if isinstance(where, Path) else where
            stream = _unpacked(packed, name, path)
            head, stream = _peeked(stream)
            yield Source(name=name, form=_checked_form(head, name, form or _by_suffix(path), required), stream=stream)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ManifestError(name, f"the gzip data is damaged or cut off ({error}); pack it again") from error
    except OSError as error:
        raise ManifestError(name, f"cannot be read: {error.strerror or error}") from error


def _unpacked(packed: BinaryIO, name: str, path: Path | None) -> BinaryIO:
    head, stream = _peeked(packed)
    if head.startswith(_GZIP):
        return cast("BinaryIO", gzip.GzipFile(fileobj=stream))
    if path is not None and path.suffix.lower() == ".gz" and head:
        raise ManifestError(name, "ends in .gz and is not gzip; pack it or take the ending off")
    return stream


def _by_suffix(path: Path | None) -> Form | None:
    if path is None:
        return None
    plain = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return _BY_SUFFIX.get(plain.suffix.lower())


def _checked_form(head: bytes, name: str, form: Form | None, required: str) -> Form:
    for magic, what in _FOREIGN.items():
        if head.startswith(magic):
            raise ManifestError(name, f"is {what}")
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start:
        raise ManifestError(name, "is empty; it needs at least one request")
    if start.startswith(b"[") and form is not Form.CSV:
        raise ManifestError(name, "is a JSON list; write one object to a line instead, without the brackets")
    if start.splitlines()[0].strip() == b"{" and form is not Form.CSV:
        raise ManifestError(name, "spreads an object over several lines; write each object on one line")
    return form or _by_content(start, name, required)


def _by_content(start: bytes, name: str, required: str) -> Form:
    if start.startswith(b"{"):
        return Form.JSONL
    header = start.splitlines()[0].lower()
    if required.lower().encode() in header or header.removeprefix(b'"').startswith(b"sep="):
        return Form.CSV
    raise ManifestError(name, f"is neither JSON lines nor CSV with a column {required!r}; {_PERMITTED}")


def _peeked(stream: BinaryIO) -> tuple[bytes, BinaryIO]:
    """The first bytes, and a stream that still begins with them; works on a pipe, which cannot seek."""
    head = b""
    while len(head) < _HEAD_BYTES and (more := stream.read(_HEAD_BYTES - len(head))):
        head += more
    return head, io.BufferedReader(_Replay(head, stream))


class _Replay(io.RawIOBase):
    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast("bytearray", buffer))
        data, self._head = self._head[: len(view)], self._head[len(view) :]
        data = data or self._rest.read(len(view))
        view[: len(data)] = data
        return len(data)
