"""Where the sandbox of a home is: a small private file, written by whoever started it."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

_CLOCK_TOLERANCE_S = 2.0


@dataclass(frozen=True, kw_only=True)
class SandboxRecord:
    """One sandbox process, which may have ended since."""

    pid: int
    started_at: float
    """Seconds since 1970, as the system tells it: a process id alone may be used again."""
    url: str
    key: str = field(repr=False)

    @property
    def port(self) -> int | None:
        """Where it listens or listened; a new one comes back there, since stored addresses name it."""
        return urlsplit(self.url).port


def path(home: Path) -> Path:
    """The file's place."""
    return home / "run" / "sandbox.json"


def read(home: Path) -> SandboxRecord | None:
    """The last sandbox that was started, running or not; None when there was none."""
    try:
        return SandboxRecord(**json.loads(path(home).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def running(home: Path) -> SandboxRecord | None:
    """The sandbox that runs now, if one does."""
    found = read(home)
    return found if found is not None and _is_alive(found) else None


def write(home: Path, *, pid: int, url: str, key: str) -> SandboxRecord:
    """Remember a sandbox that has just been started; only its owner can read the file."""
    import psutil

    record = SandboxRecord(pid=pid, started_at=psutil.Process(pid).create_time(), url=url, key=key)
    place = path(home)
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f"{place.name}.{os.getpid()}")
    with open(beside, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        json.dump(asdict(record), file)
    beside.replace(place)
    return record


def _is_alive(record: SandboxRecord) -> bool:
    import psutil

    try:
        process = psutil.Process(record.pid)
        is_same = abs(process.create_time() - record.started_at) <= _CLOCK_TOLERANCE_S
        return is_same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
