"""Download a URL into a file: bounded in bytes, time and redirects; whole or not at all."""

import hashlib
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from urllib.parse import urljoin

from urllib3 import HTTPResponse

from worker.core import tracing
from worker.core.http import Attempt
from worker.storage.fetch import addresses
from worker.storage.fetch.addresses import AddressPolicy, ProxyFor, Resolver, is_same_origin, system_addresses
from worker.storage.fetch.hop import (
    FetchFailed,
    FetchLimits,
    FetchProblem,
    Hop,
    check_answer,
    checked_parts,
    chunks,
    pinned_connection,
    response_to,
    too_large,
)

__all__ = ["AddressPolicy", "FetchFailed", "FetchLimits", "FetchProblem", "Fetched", "fetch"]


MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A downloaded file: lower-case hex SHA-256, size, and the type that the server claimed for it."""

    path: Path
    sha256: str
    size_bytes: int
    content_type: str | None


def fetch(
    url: str,
    into: Path,
    *,
    limits: FetchLimits,
    allow: AddressPolicy,
    resolve: Resolver = system_addresses,
    ca_file: str | None = None,
    monotonic: Callable[[], float] = time.monotonic,
    credential: Callable[[], str] | None = None,
    proxy_for: ProxyFor = addresses.direct,
) -> Fetched:
    """The file ``into`` holds all bytes of ``url``; raises FetchFailed, and then there is no such file.

    ``credential`` gives an Authorization header for the origin of ``url``; after a redirect elsewhere none is sent any
    more, not even back there. Without it no credential is ever sent. Without ``proxy_for`` a proxy is not used, since
    the addresses behind it cannot be checked. ``ca_file`` replaces the bundled certificates.
    """
    ends_at = monotonic() + limits.total_s
    for _ in range(MAX_REDIRECTS + 1):
        hop = Hop(
            url=url,
            limits=limits,
            allow=allow,
            resolve=resolve,
            ca_file=ca_file,
            remaining_s=max(ends_at - monotonic(), 0.001),
            credential=credential,
            proxy=proxy_for(url),
        )
        with tracing.inside("GET", {"http.request.method": "GET"}, kind="client") as span:
            outcome = _visit(hop, into, span)
        if isinstance(outcome, Fetched):
            return outcome
        if not is_same_origin(url, outcome):
            credential = None
        url = outcome
    raise FetchFailed(FetchProblem.REFUSED, url, f"more than {MAX_REDIRECTS} redirects")


def _visit(hop: Hop, into: Path, span: tracing.Span) -> Fetched | str:
    parts = checked_parts(hop)
    # The address may be signed: only its host is told.
    span.set({"server.address": parts.hostname or ""})
    connection = pinned_connection(hop, parts)
    with closing(connection), Attempt(total_s=hop.remaining_s) as attempt:
        response = response_to(hop, connection, parts, attempt)
        with closing(response):
            span.set({"http.response.status_code": response.status})
            if response.status in _REDIRECTS:
                return _target(hop, response)
            check_answer(hop, response)
            return _save(hop, response, into, attempt)


def _target(hop: Hop, response: HTTPResponse) -> str:
    location = response.headers.get("Location")
    if not location:
        raise hop.failed(FetchProblem.REFUSED, "redirects without a location", response.status)
    # Header bytes arrive as Latin-1 although they are mostly UTF-8 or ASCII.
    readable = location.encode("latin-1", "replace").decode("utf-8", "replace")
    try:
        return urljoin(hop.url, readable)
    except ValueError:
        raise hop.failed(FetchProblem.BAD_URL, "redirects to what is not a URL", response.status) from None


def _save(hop: Hop, response: HTTPResponse, into: Path, attempt: Attempt) -> Fetched:
    digest, size = hashlib.sha256(), 0
    try:
        with into.open("wb") as file:
            for chunk in decoded(hop, response, chunks(hop, response, attempt)):
                size += len(chunk)
                digest.update(chunk)
                file.write(chunk)
    except BaseException:
        into.unlink(missing_ok=True)
        raise
    return Fetched(path=into, sha256=digest.hexdigest(), size_bytes=size, content_type=_content_type(response))


def _content_type(response: HTTPResponse) -> str | None:
    value = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return value or None


_BEGINNINGS = {"gzip": b"\x1f\x8b", "x-gzip": b"\x1f\x8b", "deflate": b"x"}
"""How a file begins that is what its encoding says; of deflate the form that RFC 9110 names."""
_EITHER_HEADER = 32 + zlib.MAX_WBITS
"""Let zlib tell the headers of gzip and of its own form apart."""
_PART_BYTES = 1 << 16


def decoded(hop: Hop, response: HTTPResponse, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the file's own bytes, within the limits; raise FetchFailed when they cannot be decoded or end too early.

    What is encoded in another way, or only said to be, is passed on as it is: the check of the image says what it is.
    """
    beginning = _BEGINNINGS.get(response.headers.get("Content-Encoding", "").strip().lower())
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
