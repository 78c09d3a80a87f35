"""A line is read with its number, in bounded memory; what is not UTF-8 or is too long is a fault."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from worker.core.rules.fault import Fault

LINE_MAX_BYTES = 1_048_576
"""Longest line, and longest row of a CSV file that spreads over several lines."""
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One physical line with its ending; numbers count from 1."""

    number: int
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One request as it was written, not yet checked; ``line`` is where it begins."""

    line: int
    raw: Mapping[str, object]


def lines(stream: BinaryIO) -> Iterator[Line | Fault]:
    """Every line of the stream, blank ones too, without a byte order mark."""
    number = 0
    while data := stream.readline(LINE_MAX_BYTES + 1):
        number += 1
        if len(data) > LINE_MAX_BYTES:
            _skip_rest(stream, data)
            yield Fault(line=number, reason=f"is longer than {LINE_MAX_BYTES:,} bytes")
        else:
            yield _decoded(data.removeprefix(_BOM) if number == 1 else data, number)


def _decoded(data: bytes, number: int) -> Line | Fault:
    try:
        return Line(number=number, text=data.decode())
    except UnicodeDecodeError as error:
        place = f"byte {error.start + 1} is 0x{data[error.start]:02x}"
        return Fault(line=number, reason=f"is not UTF-8 ({place}); save the file as UTF-8")


def _skip_rest(stream: BinaryIO, data: bytes) -> None:
    while data and not data.endswith(b"\n"):
        data = stream.readline(LINE_MAX_BYTES)
