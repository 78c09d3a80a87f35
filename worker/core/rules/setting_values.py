"""How values of settings are read: networks, listening addresses, and what hooks may run and post to."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network

COMMAND_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
"""How a command is called, whole."""


@dataclass(frozen=True, kw_only=True)
class HookPolicy:
    """What hooks may do on this node, whatever their rows in the database say."""

    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Program and arguments of each command, by its name."""
    hosts: frozenset[tuple[str, int]] = frozenset()
    """Hosts with their ports that are posted to although they have no public address."""


def parse_command(line: object) -> object:
    """Return the words of a command line, split as a shell does; raise ValueError when there are none."""
    if not isinstance(line, str):
        return line
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise ValueError(f"the command {line!r} cannot be read: {error}") from None
    if not words:
        raise ValueError("the command is empty")
    return tuple(words)


def parse_hosts(listed: object) -> object:
    """Return the hosts and ports of a list separated by commas; raise ValueError for one without a port."""
    if not isinstance(listed, str):
        return listed
    return frozenset(_host(each.strip()) for each in listed.split(",") if each.strip())


def _host(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise ValueError(f"{text!r} is not a host with a port, such as shop.internal:443")
    return host.strip("[]").lower(), int(port)


_LISTEN = re.compile(r"^([^\s:]+|\[[0-9a-fA-F:]+\]):(\d{1,5})$")
_PORTS = 65_536


def parse_networks(value: object) -> object:
    """Read addresses and networks that are separated by commas; raises ValueError."""
    if not isinstance(value, str):
        return value
    return tuple(ip_network(each.strip(), strict=False) for each in value.split(",") if each.strip())


def parse_listen(value: object) -> object:
    """Read ``HOST:PORT`` as a host and a port, and ``off`` as None; raises ValueError."""
    if not isinstance(value, str):
        return value
    if value.strip().lower() == "off":
        return None
    found = _LISTEN.match(value.strip())
    if found is None or int(found[2]) >= _PORTS:
        raise ValueError("is not HOST:PORT, such as 127.0.0.1:9464, and not off")
    return found[1].strip("[]"), int(found[2])
