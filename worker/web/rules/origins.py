"""Which requests of a browser come from our own pages, and which addresses are trusted proxies."""

from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import urlsplit

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({"same-origin", "none"})

Network = IPv4Network | IPv6Network


def is_own(method: str, *, site: str | None, origin: str | None, own: str) -> bool:
    """Return whether a request that changes something was sent by one of our own pages.

    ``site`` is the header Sec-Fetch-Site, which browsers set and pages cannot; ``origin`` the header Origin, for
    browsers without the former; ``own`` the origin of this server. A request with neither is not a page's own.
    """
    if method in SAFE:
        return True
    if site is not None:
        return site in _OWN_SITES
    return origin is not None and origin == own


_PRINTABLE = frozenset(chr(code) for code in range(0x21, 0x7F))
_LONGEST_PATH = 2_000


def own_path(text: str) -> str | None:
    """Return a path of this server with its query as it is; None for what may lead a browser anywhere else.

    Browsers take a backslash for a slash, leave out tabs and line ends, and take two slashes for the beginning of a
    host (WHATWG URL, 4.4); so none of these is a path of ours.
    """
    if not text.startswith("/") or text.startswith("//") or len(text) > _LONGEST_PATH:
        return None
    return None if "\\" in text or set(text) - _PRINTABLE else text


def is_within(address: str | None, networks: tuple[Network, ...]) -> bool:
    """Return whether the peer's address is in one of the networks."""
    if address is None or not networks:
        return False
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found in each for each in networks if each.version == found.version)


def is_loopback(host: str) -> bool:
    """Return whether a server that listens on this host is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL as browsers write an origin."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def has_host(header: str, hosts: tuple[str, ...]) -> bool:
    """Return whether the header Host names one of these hosts, whatever the port; IPv6 addresses are in brackets."""
    name = header.rpartition(":")[0] if header.rpartition(":")[2].isdecimal() else header
    return name.lower() in hosts
