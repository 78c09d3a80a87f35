"""Which hosts a download may talk to: every address is looked at before it is connected to."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Self
from urllib.parse import SplitResult, urlsplit

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
    trusted_origin: tuple[str, int] | None = None
    """A host and port that may have any address."""

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
            trusted_origin=(host, port_of(parts)),
        )

    def is_permitted(self, address: str, *, host: str, port: int) -> bool:
        """True when ``address``, found for ``host`` and ``port``, may be connected to."""
        if (host, port) == self.trusted_origin:
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
