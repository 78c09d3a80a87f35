"""Which proxy a download uses: the one that the environment names, as the calls of the API do."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from requests.utils import get_environ_proxies, select_proxy

_DEFAULT_PORT = 80


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """An HTTP proxy; ``authorization`` is the value of its own header, if it wants one."""

    host: str
    port: int
    authorization: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What is sent to the proxy alone."""
        return {} if self.authorization is None else {"Proxy-Authorization": self.authorization}

    def __repr__(self) -> str:
        return f"Proxy({self.host}:{self.port})"


ProxyFor = Callable[[str], Proxy | None]
"""The proxy for a URL; None: it is reached directly."""


def none(_url: str) -> None:
    """Go directly, wherever it is."""


def of_environment(url: str) -> Proxy | None:
    """Return the HTTP proxy for this URL from http_proxy, https_proxy and no_proxy; other kinds are ignored."""
    named = select_proxy(url, get_environ_proxies(url, no_proxy=None))
    return None if named is None else _parsed(named if "://" in named else f"http://{named}")


def _parsed(address: str) -> Proxy | None:
    parts = urlsplit(address)
    if parts.scheme != "http" or not parts.hostname:
        return None
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    basic = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return Proxy(host=parts.hostname, port=parts.port or _DEFAULT_PORT, authorization=basic if parts.username else None)
