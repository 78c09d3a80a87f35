"""Bodies of requests, within their bounds of bytes and of time, and the parts of an upload on the disk."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from worker.core.rules.fault import UnfitError, quoted
from worker.intake.manifest import decode_json
from worker.storage.spool import SpoolFolder
from worker.web.limits import ApiLimits
from worker.web.problems import Problem

_AT_ONCE = 256 << 10
"""Bytes that are handed to a thread together."""
_IN_MEMORY_BYTES = 1 << 20
_GZIP = b"\x1f\x8b"
_FIELDS = 50


def media_type(request: Request) -> str:
    """Return the type of the body, in small letters and without parameters; empty when there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def expect_plain(request: Request) -> None:
    """Raise Problem for a body that is packed."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "media_type_not_supported", "send the body without Content-Encoding")


async def chunks(request: Request, limits: ApiLimits, *, most_bytes: int) -> AsyncIterator[bytes]:
    """Yield the body in pieces; raise Problem when it is too long or comes too slowly."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > most_bytes:
        raise _too_long(most_bytes)
    began_s, received, waiting = time.monotonic(), 0, bytearray()
    stream = aiter(request.stream())
    while True:
        left_s = began_s + limits.grace_s + received / limits.slowest_bytes_s - time.monotonic()
        piece = await _next(stream, left_s)
        if piece is None:
            break
        received += len(piece)
        if received > most_bytes:
            raise _too_long(most_bytes)
        waiting += piece
        if len(waiting) >= _AT_ONCE:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


async def _next(stream: AsyncIterator[bytes], left_s: float) -> bytes | None:
    try:
        async with asyncio.timeout(max(0.0, left_s)):
            return await anext(stream, None)
    except TimeoutError:
        raise Problem(
            408, "body_too_slow", "the body came too slowly and was not read to its end; nothing of it was kept",
            headers={"Connection": "close"},
        ) from None  # fmt: skip
    except ClientDisconnect:
        raise Problem(400, "body_cut_off", "the connection ended before the body did") from None


def _too_long(most_bytes: int) -> Problem:
    return Problem(
        413, "body_too_large", f"the body has more than the {most_bytes:,} bytes that are permitted",
        headers={"Connection": "close"},
    )  # fmt: skip


async def read_json(request: Request, limits: ApiLimits, *, most_bytes: int) -> object:
    """Return the value of a JSON body; None when the body is empty."""
    body = b"".join([piece async for piece in chunks(request, limits, most_bytes=most_bytes)])
    if not body:
        return None
    if media_type(request) != "application/json":
        raise Problem(415, "media_type_not_supported", "send the body as application/json")
    return json_of(body, "the body")


def json_of(body: bytes, what: str) -> object:
    """Return the value of JSON in UTF-8; raise Problem, with the place, when it is none."""
    try:
        return decode_json(body.decode())
    except UnicodeDecodeError as error:
        detail = f"{what} is not UTF-8 at byte {error.start + 1}"
    except json.JSONDecodeError as error:
        detail = f"{what} is not JSON at line {error.lineno}, column {error.colno}: {error.msg}"
    except UnfitError as unfit:
        detail = f"{what} {unfit.reason}"
    raise Problem(400, "json_invalid", detail)


@dataclass(kw_only=True)
class Upload:
    """What an upload has brought: a manifest, the fields of its batch, and files by their names."""

    takes_fields: bool = False
    """Whether it is a form of a page, whose further parts are its fields."""

    manifest: IO[bytes]
    manifest_name: str = ""
    manifest_type: str = ""
    has_manifest: bool = False
    batch: bytes = b""
    files: dict[str, Path] = field(default_factory=dict)
    fields: dict[str, bytes] = field(default_factory=dict)

    def write_line_bytes(self, data: bytes) -> None:
        """Take more of a body that is nothing but lines."""
        self.manifest.write(data)

    def end_lines(self) -> None:
        """Note that a body of lines has come to its end."""
        self.has_manifest = True

    def expect_unpacked(self) -> None:
        """Raise Problem for a gzip body, whose unpacked size is unknown."""
        self.manifest.seek(0)
        if self.manifest.read(len(_GZIP)) == _GZIP:
            raise Problem(415, "media_type_not_supported", "send the lines as they are, not as gzip")
        self.manifest.seek(0)


def begin_upload(spool: SpoolFolder, *, takes_fields: bool = False) -> Upload:
    """Return an upload with nothing in it yet; its manifest is gone when it is closed."""
    return Upload(manifest=spool.file(in_memory_bytes=_IN_MEMORY_BYTES), takes_fields=takes_fields)


class Parts:
    """Writes the parts of multipart/form-data to an upload as they come; for one thread at a time."""

    def __init__(self, upload: Upload, folder: Path, limits: ApiLimits, boundary: bytes) -> None:
        """Write files below ``folder``, under numbers: their names are a client's words."""
        self._upload, self._folder, self._limits = upload, folder, limits
        self._header_name, self._header_value = bytearray(), bytearray()
        self._headers: dict[str, bytes] = {}
        self._write: Callable[[bytes], None] = _nowhere
        self._file: IO[bytes] | None = None
        self._is_ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._headers.clear,
                    "on_header_field": lambda data, start, end: self._header_name.extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._header_value.extend(data[start:end]),
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._begin_part,
                    "on_part_data": lambda data, start, end: self._write(data[start:end]),
                    "on_part_end": self._end_part,
                    "on_end": self._end,
                },
            )
        except ValueError as error:
            raise _malformed(str(error)) from None

    def feed(self, data: bytes) -> None:
        """Take more of the body; raise Problem for what is malformed or too large."""
        try:
            self._parser.write(data)
        except MultipartParseError as error:
            raise _malformed(str(error)) from None

    def finish(self) -> None:
        """Raise Problem unless the body has ended as it should."""
        if not self._is_ended:
            raise _malformed("the last part has no end")

    def close(self) -> None:
        """Close the file that is being written."""
        if self._file is not None:
            self._file.close()

    def _end_header(self) -> None:
        self._headers[self._header_name.decode("latin-1").lower()] = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _begin_part(self) -> None:
        kind, options = parse_options_header(self._headers.get("content-disposition", b""))
        if kind != b"form-data" or b"name" not in options:
            raise _malformed("a part has no Content-Disposition: form-data with a name")
        name = options[b"name"].decode("utf-8", "replace")
        file_name = options.get(b"filename", b"").decode("utf-8", "replace")
        if name == "manifest":
            self._begin_manifest(file_name)
        elif name == "batch":
            self._begin_batch()
        elif self._upload.takes_fields and not file_name:
            # A field for files in which none is chosen is sent as a file without a name.
            self._begin_field(name)
        elif b"filename" in options:
            self._begin_file(file_name)
        else:
            raise Problem(
                422, "part_not_known", f"there is no part {quoted(name)}: send `batch`, `manifest`, and files"
            )

    def _begin_manifest(self, name: str) -> None:
        if self._upload.has_manifest:
            raise Problem(422, "part_given_twice", "the part `manifest` is there twice")
        kind = self._headers.get("content-type", b"").decode("latin-1")
        self._upload.manifest_type = kind.partition(";")[0].strip().lower()
        self._upload.manifest_name = name
        self._upload.has_manifest = True
        self._write = _writer(self._upload.manifest)

    def _begin_batch(self) -> None:
        if self._upload.batch:
            raise Problem(422, "part_given_twice", "the part `batch` is there twice")

        def keep(content: bytes) -> None:
            self._upload.batch = content

        self._write = self._bounded("batch", keep)

    def _begin_field(self, name: str) -> None:
        fields = self._upload.fields
        if name not in fields and len(fields) >= _FIELDS:
            raise Problem(413, "too_many_fields", f"a form has at most {_FIELDS} fields")
        fields[name] = b""

        def keep(content: bytes) -> None:
            fields[name] = content

        self._write = self._bounded(quoted(name), keep)

    def _bounded(self, what: str, keep: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """Return what collects the bytes of a part that is small enough to be held in memory."""
        kept = bytearray()

        def write(data: bytes) -> None:
            if len(kept) + len(data) > self._limits.control_bytes:
                raise Problem(413, "part_too_large", f"`{what}` has more than {self._limits.control_bytes:,} bytes")
            kept.extend(data)
            keep(bytes(kept))

        return write

    def _begin_file(self, name: str) -> None:
        files = self._upload.files
        if name in files:
            raise Problem(422, "part_given_twice", f"two files have the name {quoted(name)}")
        if len(files) >= self._limits.files:
            raise Problem(413, "too_many_files", f"an upload has at most {self._limits.files:,} files")
        files[name] = self._folder / str(len(files))
        file = self._file = files[name].open("xb")
        size = 0

        def write(data: bytes) -> None:
            nonlocal size
            size += len(data)
            if size > self._limits.reference_bytes:
                most = f"{self._limits.reference_bytes:,} bytes"
                raise Problem(413, "part_too_large", f"the file {quoted(name)} has more than the {most} permitted")
            file.write(data)

        self._write = write

    def _end_part(self) -> None:
        self._write = _nowhere
        if self._file is not None:
            self._file.close()
            self._file = None

    def _end(self) -> None:
        self._is_ended = True


def boundary_of(request: Request) -> bytes:
    """Return the boundary of a multipart body; raise Problem when its type names none."""
    _, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise _malformed("Content-Type names no boundary")
    return boundary


def _malformed(reason: str) -> Problem:
    return Problem(400, "multipart_malformed", f"the body is not multipart/form-data: {reason}")


def _nowhere(data: bytes) -> None:
    """Take data that belongs to no part."""


def _writer(file: IO[bytes]) -> Callable[[bytes], None]:
    def write(data: bytes) -> None:
        file.write(data)

    return write
