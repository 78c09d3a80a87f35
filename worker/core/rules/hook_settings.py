"""What a node's own settings permit hooks: the commands that they may run, and the private hosts that are posted to."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

COMMAND_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
"""How a command is called, whole."""


@dataclass(frozen=True, kw_only=True)
class HookPolicy:
    """What hooks may do on this node, whatever their rows in the database say."""

    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Program and arguments of each command, by its name."""
    hosts: frozenset[tuple[str, int]] = frozenset()
    """Hosts with their ports that are posted to although they have no public address."""


def command_words(line: object) -> object:
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


def hosts(listed: object) -> object:
    """Return the hosts and ports of a list separated by commas; raise ValueError for one without a port."""
    if not isinstance(listed, str):
        return listed
    return frozenset(_host(each.strip()) for each in listed.split(",") if each.strip())


def _host(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise ValueError(f"{text!r} is not a host with a port, such as shop.internal:443")
    return host.strip("[]").lower(), int(port)
