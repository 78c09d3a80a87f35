"""The content encoding of a download, which some servers apply although none was asked for (RFC 9110, 8.4)."""

import http.client
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain

from worker.storage.fetch.hop import FetchProblem, Hop, too_large

_BEGINNINGS = {"gzip": b"\x1f\x8b", "x-gzip": b"\x1f\x8b", "deflate": b"x"}
"""How a file begins that is what its encoding says; of deflate the form that RFC 9110 names."""

_EITHER_HEADER = 32 + zlib.MAX_WBITS
"""Let zlib tell the headers of gzip and of its own form apart."""
_PART_BYTES = 1 << 16


def decoded(hop: Hop, response: http.client.HTTPResponse, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the file's own bytes, within the limits; raise FetchFailed when they cannot be decoded or end too early.

    What is encoded in another way, or only said to be, is passed on as it is: the check of the image says what it is.
    """
    beginning = _BEGINNINGS.get(response.getheader("Content-Encoding", "").strip().lower())
    given = iter(chunks)
    first = next(given, b"")
    if beginning is None or not first.startswith(beginning):
        yield first
        yield from given
    else:
        yield from _inflated(hop, chain([first], given))


def _inflated(hop: Hop, chunks: Iterable[bytes]) -> Iterator[bytes]:
    decoder, size = zlib.decompressobj(_EITHER_HEADER), 0
    try:
        for chunk in chunks:
            left = chunk
            while left and not decoder.eof:
                part = decoder.decompress(left, _PART_BYTES)
                left = decoder.unconsumed_tail
                size += len(part)
                if size > hop.limits.max_bytes:
                    raise too_large(hop)
                yield part
    except zlib.error as error:
        raise hop.failed(FetchProblem.TEMPORARY, f"its content encoding is damaged: {error}") from error
    if not decoder.eof:
        raise hop.failed(FetchProblem.TEMPORARY, "its content encoding ends in the middle")
