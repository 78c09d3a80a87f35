"""The HTTP session with the provider: pooled connections, bodies that are sent in small parts, and a hidden key."""

import io
import re
from collections.abc import Callable, Mapping
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.filepost import encode_multipart_formdata

from worker.core.http import PlainConnection, TlsConnection

_USABLE_KEY = re.compile(r"[!-~]+")


class BearerKey(AuthBase):
    """The API key as an Authorization header; its representation shows nothing of it."""

    def __init__(self, api_key: str) -> None:
        """Take any text; ``check`` says whether it can be used."""
        self._key = api_key

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the key on a request."""
        r.headers["Authorization"] = self.header()
        return r

    def header(self) -> str:
        """Return the header's value."""
        return f"Bearer {self._key}"

    def __repr__(self) -> str:
        return "BearerKey(hidden)"

    def check(self) -> None:
        """The key can travel in a header; raises ValueError, without the key in it, when it cannot."""
        # http.client names the whole value when it refuses a header, so it must never get to see such a key.
        if not _USABLE_KEY.fullmatch(self._key):
            raise ValueError(
                "the API key is empty or has blanks, line ends or non-ASCII characters: check RIVYA_API_KEY"
            )

    def hide(self, content: bytes) -> bytes:
        """``content`` without the key, should the provider have echoed it."""
        return content.replace(self._key.encode(), b"[hidden]")


class _PlainSession(requests.Session):
    """A session that leaves redirects alone, even where requests would only look ahead at them."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """No redirect has a target: requests would otherwise read the whole body of one, however long."""


def new_session(*, base_url: str, auth: BearerKey, user_agent: str) -> requests.Session:
    """A session for one thread that sends once, follows nothing and keeps no cookies."""
    session = _PlainSession()
    session.auth = auth
    session.headers.update({"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": "identity"})
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.trust_env = not is_loopback_url(base_url)
    session.mount(base_url, Adapter())
    return session


def checked_base_url(base_url: str) -> str:
    """``base_url`` without a trailing slash; raises ValueError when it is not a plain web address."""
    parts = urlsplit(base_url)
    is_plain = parts.scheme in {"http", "https"} and parts.hostname and not (parts.query or parts.fragment)
    if not is_plain or parts.username is not None:
        raise ValueError(
            "the provider's base URL must look like https://host or http://host:port,"
            f" not {_without_user(base_url)!r}: check RIVYA_BASE_URL"
        )
    return base_url.rstrip("/").removesuffix("/api/v1")


def is_loopback_url(url: str) -> bool:
    """True when ``url`` names this machine by a loopback address or as localhost; no name is looked up."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _without_user(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//[hidden]@", url)


PART_BYTES = 1 << 14


class SendTimeout(Exception):
    """The body was not sent when its time was over."""


class Sending(io.BytesIO):
    """Bytes that are read to be sent; from the first read on they must be through within ``most_s``."""

    def __init__(self, content: bytes, *, most_s: float, monotonic: Callable[[], float]) -> None:
        """Start no clock yet: connecting comes first, and has a time of its own."""
        super().__init__(content)
        self._most_s = most_s
        self._monotonic = monotonic
        self._ends_at: float | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next part, never a large one; raise SendTimeout when the time is over."""
        if self._ends_at is None:
            self._ends_at = self._monotonic() + self._most_s
        if self._monotonic() > self._ends_at:
            raise SendTimeout
        return super().read(PART_BYTES if size is None or size < 0 else min(size, PART_BYTES))


def form(fields: Mapping[str, str], *, name: str, content: bytes, mime_type: str) -> tuple[bytes, str]:
    """Return a multipart form with one file, and its Content-Type."""
    return encode_multipart_formdata({**fields, "file": (name, content, mime_type)})


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = TlsConnection


_POOLS: dict[str, Callable[..., Any]] = {"http": _PlainPool, "https": _TlsPool}


class Adapter(HTTPAdapter):
    """One kept connection, tried once; direct or through the proxy that the environment names."""

    def __init__(self) -> None:
        """Set urllib3 up without retries: only the job's own steps decide that a request is sent again."""
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        """Make the pools of direct connections."""
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = dict(_POOLS)

    def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
        """Make the pools of connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **named)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = dict(_POOLS)
        return manager
