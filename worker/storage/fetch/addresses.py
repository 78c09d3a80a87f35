"""Which addresses and which proxy a download may use; every address is checked before it is connected to."""

import base64
import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit

from requests.utils import get_environ_proxies, select_proxy

Resolver = Callable[[str, int], tuple[str, ...]]
"""The addresses of a host and port; raises OSError when there are none."""
_DEFAULT_PORTS = {"https": 443, "http": 80}
# Public by the registry; inside the machines of one large cloud it answers as the platform itself.
_PLATFORM_ADDRESSES = frozenset({IPv4Address("168.63.129.16")})


@dataclass(frozen=True, kw_only=True)
class AddressPolicy:
    """What a download may reach: these schemes, public addresses, and the exceptions named here."""

    schemes: frozenset[str]
    is_loopback_permitted: bool = False
    trusted_origins: frozenset[tuple[str, int]] = frozenset()
    """Hosts with their ports that may have any address."""

    @classmethod
    def for_references(cls) -> Self:
        """For URLs that a producer wrote: https to public addresses, nothing else."""
        return cls(schemes=frozenset({"https"}))

    @classmethod
    def for_results(cls, base_url: str) -> Self:
        """For URLs that the provider wrote; the operator's own base URL may be anywhere."""
        parts = urlsplit(base_url)
        host = parts.hostname or ""
        return cls(
            schemes=frozenset({"https", "http"}),
            is_loopback_permitted=is_loopback_name(host),
            trusted_origins=frozenset({(host, port_of(parts))}),
        )

    @classmethod
    def for_hooks(cls, listed: frozenset[tuple[str, int]]) -> Self:
        """For the receivers of hooks: public addresses, and the hosts that the node's own settings list."""
        return cls(schemes=frozenset({"https", "http"}), trusted_origins=listed)

    def is_permitted(self, address: str, *, host: str, port: int) -> bool:
        """True when ``address``, found for ``host`` and ``port``, may be connected to."""
        if (host, port) in self.trusted_origins:
            return True
        actual = _actual(ip_address(address))
        return is_public(actual) or (self.is_loopback_permitted and actual.is_loopback)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """True for an address on the public internet that stands for one host."""
    is_special = address.is_multicast or address.is_reserved or address in _PLATFORM_ADDRESSES
    return address.is_global and not is_special


def is_loopback_name(host: str) -> bool:
    """True for a loopback address and for localhost."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_address(host: str) -> bool:
    """True for a host that is written as an address."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def port_of(parts: SplitResult) -> int:
    """The port of a URL, its scheme's own when it names none; raises ValueError for an impossible one."""
    return parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)


def is_same_origin(one: str, other: str) -> bool:
    """True when both URLs have one scheme, host and port; False when one of them is no URL."""
    try:
        first, second = (urlsplit(url) for url in (one, other))
        ports = port_of(first), port_of(second)
    except ValueError:
        return False
    return (first.scheme, first.hostname, ports[0]) == (second.scheme, second.hostname, ports[1])


def system_addresses(host: str, port: int) -> tuple[str, ...]:
    """What the system's resolver knows, without duplicates, in its order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def _actual(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    # An IPv6 address that carries an IPv4 one leads to that one: mapped, 6to4, or through a NAT64 gateway.
    if isinstance(address, IPv4Address):
        return address
    if address.packed.startswith(b"\x00\x64\xff\x9b" + bytes(8)):
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or address


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


def direct(_url: str) -> None:
    """Use no proxy, whatever the URL."""


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
