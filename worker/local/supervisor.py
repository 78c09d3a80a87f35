"""Find, start and end a server's process, so that there is never a second one on the same data."""

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import psutil

from worker.local import ports
from worker.local.account import Account
from worker.local.errors import ServicesError, tail
from worker.local.records import Running, takes_lock

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
    """Return when no process works in the data folder; it is sent SIGTERM first, and SIGKILL after the grace period."""
    found = None if running is None else named(running.pid)
    if found is not None:
        end_processes([found], STOP_SIGNAL, grace_s)
        # A server's children end with it; the few that are in the middle of something get a moment.
        wait_until(lambda: not inhabitants(data), KILL_TIMEOUT_S)
    end_processes(inhabitants(data), STOP_SIGNAL, grace_s)


def _is_same(record: Running, data: Path) -> bool:
    found = named(record.pid)
    if found is None or abs(started_at(found) - record.started_at) > CLOCK_TOLERANCE_S:
        return False
    return works_in(found, data)


def _adopted(pid: int, data: Path) -> Running | None:
    """Return the process if it works in the data folder; one that is still coming up gets time to listen."""
    found = named(pid)
    if found is None or not works_in(found, data):
        return None
    wait_until(lambda: listening_port(found) is not None, START_TIMEOUT_S)
    port = listening_port(found)
    return None if port is None else Running(pid=pid, started_at=started_at(found), port=port)


def _launch(server: Server, former_port: int | None, log: Path) -> Running:
    # Only a server works in its data folder: a process that is still there has lost its pid file or its folder.
    end(server.data, None)
    server.prepare()
    for port in ports.candidates(former_port):
        found = named(launch(server.command(port), server.account, log))
        if found is not None:
            running = Running(pid=found.pid, started_at=started_at(found), port=port)
            if _becomes_ready(server, running):
                return running
            end_processes([found], STOP_SIGNAL, KILL_TIMEOUT_S)
        if ports.is_free(port):
            # It was not the port, so another one would not help.
            break
    raise _failed(server, "it did not come up", log)


def _becomes_ready(server: Server, running: Running) -> bool:
    found = named(running.pid)
    wait_until(
        lambda: found is None or not is_alive(found) or server.is_ready(running.pid, running.port),
        START_TIMEOUT_S,
    )
    return found is not None and is_alive(found) and server.is_ready(running.pid, running.port)


def _failed(server: Server, reason: str, log: Path) -> ServicesError:
    return ServicesError(
        f"The embedded {server.name} does not serve",
        f"{reason}; its log {log} ends with:\n{tail(log)}",
        "fix what the log says, then run `darkroom services stop` and start again.",
    )


# The shell puts the server into the background and ends, so that the server has no parent here: it outlives
# the process that started it, and leaves no zombie there. It keeps the log as its only open file.
LAUNCH = '"$@" </dev/null >&2 & echo $!'
POLL_S = 0.01
KILL_TIMEOUT_S = 10.0
LOCK_TIMEOUT_S = 2.0


def launch(command: Sequence[str], account: Account, log: Path) -> int:
    """Start a server in its own session and return its process id; its output is appended to the log.

    The server inherits the lock on its log and holds it until its last child is gone, also against processes
    that cannot see each other, such as two containers with one volume.
    """
    with log.open("ab") as stream:
        # A process that is ending lets go of its files a moment after it is gone from where it worked.
        if not wait_until(lambda: takes_lock(stream.fileno()), LOCK_TIMEOUT_S):
            raise ServicesError(
                f"{command[0]} is not started a second time on its data",
                f"a process that cannot be seen from here, perhaps in another container, holds {log}",
                "stop it where it was started, or set DARKROOM_HOME to another folder.",
            )
        _, answer = account.run(["/bin/sh", "-c", LAUNCH, "sh", *command], stderr=stream)
    return int(answer)


def named(pid: int) -> psutil.Process | None:
    """Return the living process of that id, if there is one."""
    try:
        process = psutil.Process(pid)
    except (psutil.NoSuchProcess, ValueError):
        return None
    return process if is_alive(process) else None


def is_alive(process: psutil.Process) -> bool:
    """Tell whether the process runs; one that has ended and was not reaped does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def started_at(process: psutil.Process) -> float:
    """Return the start time in seconds since 1970; 0 when the process has ended."""
    try:
        return process.create_time()
    except psutil.NoSuchProcess:
        return 0.0


def user_of(pid: int) -> tuple[int, int] | None:
    """Return the ids of the user and the group that a living process runs as."""
    found = named(pid)
    try:
        return None if found is None else (found.uids().real, found.gids().real)
    except psutil.NoSuchProcess:
        return None


def works_in(process: psutil.Process, folder: Path) -> bool:
    """Tell whether this folder is the process's working directory."""
    try:
        return os.path.samestat(_working_directory(process).stat(), folder.stat())
    except (OSError, psutil.Error):
        return False


def inhabitants(folder: Path) -> list[psutil.Process]:
    """Return every process that works in the folder, or in one of that name that has been removed."""
    return [each for each in psutil.process_iter() if works_in(each, folder) or _is_left_over(each, folder)]


def listening_port(process: psutil.Process) -> int | None:
    """Return the TCP port on which the process listens, None when there is none yet."""
    try:
        found = process.net_connections(kind="tcp")
    except psutil.Error:
        return None
    return next((each.laddr.port for each in found if each.status == psutil.CONN_LISTEN), None)


def end_processes(processes: Sequence[psutil.Process], first: signal.Signals, grace_s: float) -> None:
    """End the processes with the signal, kill them after the grace period, and return when they are gone."""
    _send(processes, first)
    if not wait_until(lambda: not any(map(is_alive, processes)), grace_s):
        _send(processes, signal.SIGKILL)
        if not wait_until(lambda: not any(map(is_alive, processes)), KILL_TIMEOUT_S):
            raise ServicesError(
                "A server does not end",
                f"of the processes {[each.pid for each in processes]} one survives SIGKILL",
                "look for a hanging disk; only a restart of the machine ends such a process.",
            )


def wait_until(is_so: Callable[[], bool], timeout_s: float) -> bool:
    """Return True as soon as the condition holds, False when the time is over."""
    deadline = time.monotonic() + timeout_s
    while not (holds := is_so()) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return holds


def _send(processes: Sequence[psutil.Process], what: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(what)
        except psutil.NoSuchProcess:
            continue


def _working_directory(process: psutil.Process) -> Path:
    """Return the way to the directory; on Linux it leads there even when the name is another folder's now."""
    return Path(f"/proc/{process.pid}/cwd") if sys.platform == "linux" else Path(process.cwd())


def _is_left_over(process: psutil.Process, folder: Path) -> bool:
    try:
        return str(_working_directory(process).readlink()) == f"{folder} (deleted)"
    except (OSError, psutil.Error):
        return False
