"""How one server is found, started and ended, so that there is never a second one on the same data."""

import signal
from pathlib import Path
from typing import Protocol

from worker.local import ports, process
from worker.local.account import Account
from worker.local.errors import ServicesError, tail
from worker.local.records import Running

START_TIMEOUT_S = 60.0
STOP_GRACE_S = 30.0
STOP_SIGNAL = signal.SIGINT
"""Orderly for both: Postgres ends its sessions, Valkey writes its append-only file out."""
CLOCK_TOLERANCE_S = 2.0
"""How far a start time may seem to move when the system's clock is set."""


class Server(Protocol):
    """What the two servers have in common."""

    @property
    def name(self) -> str:
        """Return the name under which it is remembered and logged."""

    @property
    def data(self) -> Path:
        """Return the folder that the server works in; no other process does."""

    @property
    def account(self) -> Account:
        """Return the user that it runs as."""

    def prepare(self) -> None:
        """Make the data folder ready for a start, and remove what a server that is gone left there."""

    def command(self, port: int) -> list[str]:
        """Return the command that starts it."""

    def is_ready(self, pid: int, port: int) -> bool:
        """Tell whether it serves."""


def find(pid_file: Path, record: Running | None) -> Running | None:
    """Return the server that runs: the remembered one, or an orphan that the server's own pid file names."""
    data = pid_file.parent
    if record is not None and _is_same(record, data):
        return record
    try:
        pid = int(pid_file.read_text(encoding="utf-8").split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    return _adopted(pid, data)


def serve(server: Server, running: Running | None, former: Running | None, log: Path) -> Running:
    """Return the server, ready to serve: the one that runs, or a new one, on its former port if possible."""
    if running is None:
        return _launch(server, None if former is None else former.port, log)
    if not _becomes_ready(server, running):
        raise _failed(server, f"process {running.pid} has ended or does not answer", log)
    return running


def end(data: Path, running: Running | None, grace_s: float = STOP_GRACE_S) -> None:
    """Return when nobody works in the data folder; it is asked first, and killed when the grace is over."""
    found = None if running is None else process.named(running.pid)
    if found is not None:
        process.end([found], STOP_SIGNAL, grace_s)
        # A server's children end with it; the few that are in the middle of something get a moment.
        process.wait_until(lambda: not process.inhabitants(data), process.KILL_TIMEOUT_S)
    process.end(process.inhabitants(data), STOP_SIGNAL, grace_s)


def _is_same(record: Running, data: Path) -> bool:
    found = process.named(record.pid)
    if found is None or abs(process.started_at(found) - record.started_at) > CLOCK_TOLERANCE_S:
        return False
    return process.works_in(found, data)


def _adopted(pid: int, data: Path) -> Running | None:
    """Return the process if it works in the data folder; one that is still coming up gets time to listen."""
    found = process.named(pid)
    if found is None or not process.works_in(found, data):
        return None
    process.wait_until(lambda: process.listening_port(found) is not None, START_TIMEOUT_S)
    port = process.listening_port(found)
    return None if port is None else Running(pid=pid, started_at=process.started_at(found), port=port)


def _launch(server: Server, former_port: int | None, log: Path) -> Running:
    # Only a server works in its data folder: whoever is still there has lost its pid file or its folder.
    end(server.data, None)
    server.prepare()
    for port in ports.candidates(former_port):
        found = process.named(process.launch(server.command(port), server.account, log))
        if found is not None:
            running = Running(pid=found.pid, started_at=process.started_at(found), port=port)
            if _becomes_ready(server, running):
                return running
            process.end([found], STOP_SIGNAL, process.KILL_TIMEOUT_S)
        if ports.is_free(port):
            # It was not the port, so another one would not help.
            break
    raise _failed(server, "it did not come up", log)


def _becomes_ready(server: Server, running: Running) -> bool:
    found = process.named(running.pid)
    process.wait_until(
        lambda: found is None or not process.is_alive(found) or server.is_ready(running.pid, running.port),
        START_TIMEOUT_S,
    )
    return found is not None and process.is_alive(found) and server.is_ready(running.pid, running.port)


def _failed(server: Server, reason: str, log: Path) -> ServicesError:
    return ServicesError(
        f"The embedded {server.name} does not serve",
        f"{reason}; its log {log} ends with:\n{tail(log)}",
        "fix what the log says, then run `darkroom services stop` and start again.",
    )
