"""Who leaves a home last stops its services, unless they were started to stay.

Each ``up`` and ``demo`` holds a shared lock on one file while it runs. The system takes the lock away from a
process that is killed, so a count can never be wrong.
"""

import fcntl
from pathlib import Path
from typing import IO


class ServiceLock:
    """One process that uses the services of a home."""

    def __init__(self, home: Path) -> None:
        """Come in."""
        self._home = home
        (home / "run").mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = (home / "run" / "guests.lock").open("a")
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def leave(self) -> bool:
        """Go; True when nobody else is there and the services were not started to stay."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            return _passing(self._home).exists()
        finally:
            self._file.close()


def mark_ephemeral(home: Path) -> None:
    """Record that the services were started by a guest, and end with the last one."""
    _passing(home).touch()
    _stopped(home).unlink(missing_ok=True)


def mark_persistent(home: Path) -> None:
    """Record that the services run until somebody stops them."""
    _passing(home).unlink(missing_ok=True)
    _stopped(home).unlink(missing_ok=True)


def mark_stopped(home: Path) -> None:
    """Record that somebody has stopped the services: guests do not start them again."""
    _passing(home).unlink(missing_ok=True)
    _stopped(home).touch()


def were_stopped(home: Path) -> bool:
    """Whether the services do not run because somebody stopped them."""
    return _stopped(home).exists()


def _passing(home: Path) -> Path:
    return home / "run" / "services.passing"


def _stopped(home: Path) -> Path:
    return home / "run" / "services.stopped"
