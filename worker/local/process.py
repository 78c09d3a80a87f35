"""Which processes are ours, and how one is started and ended.

A server is known by its working directory, compared as a file and not as a name: each server changes into its
own data folder. That holds when process ids are used again and when the home is removed and made anew.
"""

import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from worker.local.account import Account
from worker.local.errors import ServicesError

# The shell puts the server into the background and ends, so that the server is nobody's child: it outlives
# whoever started it, and leaves no zombie there. It keeps the log as its only open file.
LAUNCH = '"$@" </dev/null >&2 & echo $!'
POLL_S = 0.01
KILL_TIMEOUT_S = 10.0
LOCK_TIMEOUT_S = 2.0


def launch(command: Sequence[str], account: Account, log: Path) -> int:
    """Start a server in its own session and return its process id; its words go to the end of the log.

    The server inherits the lock on its log and holds it until its last child is gone, also against processes
    that cannot see each other, such as two containers with one volume.
    """
    with log.open("ab") as stream:
        # A process that is ending lets go of its files a moment after it is gone from where it worked.
        if not wait_until(lambda: _locks(stream.fileno()), LOCK_TIMEOUT_S):
            raise ServicesError(
                f"{command[0]} is not started a second time on its data",
                f"a process that cannot be seen from here, perhaps in another container, holds {log}",
                "stop it where it was started, or set DARKROOM_HOME to another folder.",
            )
        _, answer = account.run(["/bin/sh", "-c", LAUNCH, "sh", *command], stderr=stream)
    return int(answer)


def _locks(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


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
    """Return the start in seconds since 1970; 0, which is no process's start, when it has ended meanwhile."""
    try:
        return process.create_time()
    except psutil.NoSuchProcess:
        return 0.0


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


def end(processes: Sequence[psutil.Process], first: signal.Signals, grace_s: float) -> None:
    """Return when the processes are gone: asked with the first signal, killed when the grace is over."""
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
