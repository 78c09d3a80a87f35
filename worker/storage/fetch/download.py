"""How a URL's bytes come into a file: bounded in bytes, time and redirects, and whole or not at all."""

import hashlib
import http.client
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

from worker.storage.fetch import proxy
from worker.storage.fetch.addresses import AddressPolicy, Resolver, is_same_origin, system_addresses
from worker.storage.fetch.encodings import decoded
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
)
from worker.storage.fetch.pinned import Deadline
from worker.storage.fetch.proxy import ProxyFor

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
    proxy_for: ProxyFor = proxy.none,
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
        outcome = _visit(hop, into)
        if isinstance(outcome, Fetched):
            return outcome
        if not is_same_origin(url, outcome):
            credential = None
        url = outcome
    raise FetchFailed(FetchProblem.REFUSED, url, f"more than {MAX_REDIRECTS} redirects")


def _visit(hop: Hop, into: Path) -> Fetched | str:
    parts = checked_parts(hop)
    connection = pinned_connection(hop, parts)
    with closing(connection), Deadline(connection, total_s=hop.remaining_s) as deadline:
        response = response_to(hop, connection, parts, deadline)
        with closing(response):
            if response.status in _REDIRECTS:
                return _target(hop, response)
            check_answer(hop, response)
            return _save(hop, response, into, deadline)


def _target(hop: Hop, response: http.client.HTTPResponse) -> str:
    location = response.getheader("Location")
    if not location:
        raise hop.failed(FetchProblem.REFUSED, "redirects without a location", response.status)
    # Header bytes arrive as Latin-1 although they are mostly UTF-8 or ASCII.
    readable = location.encode("latin-1", "replace").decode("utf-8", "replace")
    try:
        return urljoin(hop.url, readable)
    except ValueError:
        raise hop.failed(FetchProblem.BAD_URL, "redirects to what is not a URL", response.status) from None


def _save(hop: Hop, response: http.client.HTTPResponse, into: Path, deadline: Deadline) -> Fetched:
    digest, size = hashlib.sha256(), 0
    try:
        with into.open("wb") as file:
            for chunk in decoded(hop, response, chunks(hop, response, deadline)):
                size += len(chunk)
                digest.update(chunk)
                file.write(chunk)
    except BaseException:
        into.unlink(missing_ok=True)
        raise
    return Fetched(path=into, sha256=digest.hexdigest(), size_bytes=size, content_type=_content_type(response))


def _content_type(response: http.client.HTTPResponse) -> str | None:
    value = response.getheader("Content-Type", "").partition(";")[0].strip().lower()
    return value or None
