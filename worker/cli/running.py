"""Which `darkroom up` runs in a home: a small file, written when it is ready and removed when it ends."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

_TOLERANCE_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Running:
    """A process of `darkroom up`."""

    pid: int
    started_at: float
    """Seconds since 1970, as the system tells it: a process id alone may be used again."""


def write(home: Path) -> Path:
    """Remember this process; gives the file, to be removed at the end."""
    import psutil

    place = _folder(home) / f"{os.getpid()}.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    found = Running(pid=os.getpid(), started_at=psutil.Process().create_time())
    place.write_text(json.dumps(asdict(found)), encoding="utf-8")
    return place


def read(home: Path) -> list[Running]:
    """List the processes that run now; files of those that were killed are removed."""
    found = []
    for place in sorted(_folder(home).glob("*.json")):
        try:
            each = Running(**json.loads(place.read_bytes()))
        except (OSError, ValueError, TypeError):
            continue
        if is_alive(each):
            found.append(each)
        else:
            place.unlink(missing_ok=True)
    return found


def is_alive(running: Running) -> bool:
    """Return whether the process has not ended."""
    import psutil

    try:
        process = psutil.Process(running.pid)
        is_same = abs(process.create_time() - running.started_at) <= _TOLERANCE_S
        return is_same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _folder(home: Path) -> Path:
    return home / "run" / "up"
