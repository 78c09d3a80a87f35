"""What one exchange of a download may do and how its failures are named."""

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from http import HTTPStatus
from urllib.parse import SplitResult, quote, urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPResponse
from urllib3.exceptions import TimeoutError as HttpTimeoutError

from worker.core.http import FAILURES, Attempt, PlainConnection, TlsConnection, cause_of
from worker.storage.fetch.addresses import AddressPolicy, Proxy, Resolver, is_address, is_loopback_name, port_of

_READ_BYTES = 1 << 16
_GONE = frozenset({403, 404, 410})
_PASSING = frozenset({408, 425, 429})


class FetchProblem(StrEnum):
    """Why a download failed, by what may be done next."""

    GONE = "gone"
    """403, 404 or 410: this URL does not give the file out, or not any more."""
    TEMPORARY = "temporary"
    """The network or the server failed, or was too slow; a later attempt may succeed."""
    TOO_LARGE = "too_large"
    """The file has more bytes than permitted."""
    REFUSED_ADDRESS = "refused_address"
    """The URL leads where downloads may not go: a scheme or an address that the policy does not permit."""
    BAD_URL = "bad_url"
    """The text is not a URL that can be fetched."""
    REFUSED = "refused"
    """The server answered in another way that waiting does not change: a 4xx, or redirects without an end."""


class FetchFailed(Exception):
    """A download did not give a whole file; nothing of it is left on disk."""

    def __init__(self, kind: FetchProblem, url: str, reason: str, status: int | None = None) -> None:
        """Keep the URL without its query, which may carry a signature."""
        shown = url.partition("?")[0]
        super().__init__(kind, shown, reason, status)
        self.kind = kind
        self.url = shown
        self.reason = reason
        self.status = status

    def __str__(self) -> str:
        return f"{self.url}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class FetchLimits:
    """How much one download may take; ``total_s`` counts from the first hop, name look-ups left out."""

    max_bytes: int
    total_s: float = 60.0
    connect_s: float = 5.0
    read_s: float = 15.0


@dataclass(frozen=True, kw_only=True)
class Hop:
    """One URL on the way to the file, with what is left of the limits."""

    url: str
    limits: FetchLimits
    allow: AddressPolicy
    resolve: Resolver
    ca_file: str | None
    remaining_s: float
    credential: Callable[[], str] | None = None
    """Gives the Authorization header for this one URL; None: none is sent."""

    proxy: Proxy | None = None

    def failed(self, kind: FetchProblem, reason: str, status: int | None = None) -> FetchFailed:
        """The error for this hop."""
        return FetchFailed(kind, self.url, reason, status)


def checked_parts(hop: Hop) -> SplitResult:
    """The parts of the URL, which names a permitted scheme, a host and no user."""
    try:
        parts = urlsplit(hop.url)
        port_of(parts)
    except ValueError:
        raise hop.failed(FetchProblem.BAD_URL, "is not a URL") from None
    if parts.scheme not in hop.allow.schemes:
        permitted = " and ".join(sorted(hop.allow.schemes))
        raise hop.failed(FetchProblem.REFUSED_ADDRESS, f"only {permitted} URLs are fetched")
    if not parts.hostname or parts.username is not None:
        raise hop.failed(FetchProblem.BAD_URL, "must name a host and no user")
    return parts


def pinned_connection(hop: Hop, parts: SplitResult) -> PlainConnection | TlsConnection:
    """A connection that can only reach the permitted addresses of the URL's host, or the proxy on the way to it."""
    host, port = _ascii_host(hop, parts), port_of(parts)
    reached = (host, port) if hop.proxy is None else (hop.proxy.host, hop.proxy.port)
    addresses = _addresses(hop, host, port)
    connect_s = min(hop.limits.connect_s, hop.remaining_s)
    connection: PlainConnection | TlsConnection
    if parts.scheme == "https":
        connection = TlsConnection(*reached, timeout=connect_s, ssl_context=_tls(hop.ca_file))
        if hop.proxy is not None:
            connection.set_tunnel(host, port, headers=hop.proxy.headers)
    else:
        connection = PlainConnection(*reached, timeout=connect_s)
    connection.pinned = addresses
    connection.read_s = min(hop.limits.read_s, hop.remaining_s)
    return connection


def _addresses(hop: Hop, host: str, port: int) -> tuple[str, ...]:
    """Return the addresses to connect to; behind a proxy only an address literal in the URL can be checked."""
    if hop.proxy is None:
        return _permitted_addresses(hop, host, port)
    if is_address(host) or is_loopback_name(host):
        _permitted_addresses(hop, host, port)
    try:
        return hop.resolve(hop.proxy.host, hop.proxy.port)
    except (OSError, UnicodeError):
        raise hop.failed(FetchProblem.TEMPORARY, f"the proxy {hop.proxy.host} has no known address") from None


def _ascii_host(hop: Hop, parts: SplitResult) -> str:
    host = parts.hostname or ""
    try:
        return host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        raise hop.failed(FetchProblem.BAD_URL, "has a host name that cannot exist") from None


def _permitted_addresses(hop: Hop, host: str, port: int) -> tuple[str, ...]:
    try:
        addresses = hop.resolve(host, port)
    except (OSError, UnicodeError):
        raise hop.failed(FetchProblem.TEMPORARY, f"the host {host} has no known address") from None
    # One forbidden address refuses all of them: a public name has no business with a private address.
    if not addresses or not all(hop.allow.is_permitted(each, host=host, port=port) for each in addresses):
        raise hop.failed(FetchProblem.REFUSED_ADDRESS, f"the host {host} is not on the public internet")
    return addresses


@lru_cache(maxsize=4)
def _tls(ca_file: str | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file or DEFAULT_CA_BUNDLE_PATH)


def response_to(
    hop: Hop, connection: PlainConnection | TlsConnection, parts: SplitResult, attempt: Attempt
) -> HTTPResponse:
    """The answer to the one GET, its body not yet read."""
    try:
        connection.request("GET", _target(hop, parts), headers=_headers(hop, parts), preload_content=False)
        return connection.getresponse()
    except ssl.SSLCertVerificationError as error:
        raise hop.failed(FetchProblem.TEMPORARY, f"its certificate is refused: {error.verify_message}") from error
    except FAILURES as error:
        raise _broken(hop, error, attempt) from error


def _target(hop: Hop, parts: SplitResult) -> str:
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    query = quote(parts.query, safe="/?%:@!$&'()*+,;=~")
    origin = f"http://{parts.netloc}" if _is_relayed(hop, parts) else ""
    return f"{origin}{path}?{query}" if query else f"{origin}{path}"


def _is_relayed(hop: Hop, parts: SplitResult) -> bool:
    """Return whether a proxy reads the request itself; with TLS it only passes bytes on."""
    return hop.proxy is not None and parts.scheme == "http"


def _headers(hop: Hop, parts: SplitResult) -> dict[str, str]:
    headers = {"User-Agent": "darkroom", "Accept": "*/*"}
    if hop.proxy is not None and _is_relayed(hop, parts):
        headers |= hop.proxy.headers
    return headers if hop.credential is None else {**headers, "Authorization": hop.credential()}


def check_answer(hop: Hop, response: HTTPResponse) -> None:
    """The answer is a whole file within the limits, or FetchFailed is raised."""
    status = response.status
    if status in _GONE:
        raise hop.failed(FetchProblem.GONE, f"was refused (HTTP {status})", status)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _PASSING:
        raise hop.failed(FetchProblem.TEMPORARY, f"the server is unavailable (HTTP {status})", status)
    if status != HTTPStatus.OK:
        raise hop.failed(FetchProblem.REFUSED, f"the server answered HTTP {status}", status)
    if (response.length_remaining or 0) > hop.limits.max_bytes:
        raise too_large(hop)


def chunks(hop: Hop, response: HTTPResponse, attempt: Attempt) -> Iterator[bytes]:
    """The bytes of the body as they come; FetchFailed when they end too early."""
    received = 0
    try:
        while chunk := response.read1(_READ_BYTES, decode_content=False):
            received += len(chunk)
            if received > hop.limits.max_bytes:
                raise too_large(hop)
            yield chunk
    except FAILURES as error:
        raise _broken(hop, error, attempt) from error
    # Without a promised length the end of a cut connection looks like the end of the file.
    if attempt.is_over and response.length_remaining is None:
        raise _broken(hop, EOFError("it ended in the middle of the file"), attempt)


def _broken(hop: Hop, error: Exception, attempt: Attempt) -> FetchFailed:
    if attempt.is_over or isinstance(error, TimeoutError | HttpTimeoutError):
        return hop.failed(FetchProblem.TEMPORARY, "took too long")
    cause = cause_of(error)
    return hop.failed(FetchProblem.TEMPORARY, f"the connection failed: {str(cause) or type(cause).__name__}")


def too_large(hop: Hop) -> FetchFailed:
    """The error for a file with too many bytes."""
    return hop.failed(FetchProblem.TOO_LARGE, f"has more than the permitted {hop.limits.max_bytes:,} bytes")
