"""Which loopback port a server gets."""

import secrets
import socket
from collections.abc import Iterator

HOST = "127.0.0.1"
RANGE = range(15_000, 30_000)
"""Below the ports of outgoing connections, so that a server finds its port free at the next start."""
ATTEMPTS = 8


def candidates(preferred: int | None) -> Iterator[int]:
    """Yield free ports, the preferred one first: clients of a server that comes back find it where it was."""
    if preferred is not None and is_free(preferred):
        yield preferred
    drawn = (RANGE[secrets.randbelow(len(RANGE))] for _ in range(20 * ATTEMPTS))
    for _, port in zip(range(ATTEMPTS), filter(is_free, drawn), strict=False):
        yield port


def is_free(port: int) -> bool:
    """Return whether the port is free; another process may take it the next moment."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
