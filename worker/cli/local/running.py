"""Which `darkroom up` runs in a home: a small file, written when it starts and removed when it ends."""

import json
import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_TOLERANCE_S = 2.0
_START_S = 300.0
"""After so long `darkroom up` has started all that it starts, or has ended."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """A process of `darkroom up`."""

    pid: int
    started_at: float
    """Seconds since 1970, as the system tells it: a process id alone may be used again."""
    mode: str = ""
    """``sandbox`` or ``live``: the mode whose nodes it runs; empty where it was not recorded."""


def write(home: Path, *, mode: str) -> list[Path]:
    """Record this process in its home, and the home for the user; return the files to remove at the end."""
    import psutil

    found = Running(pid=os.getpid(), started_at=psutil.Process().create_time(), mode=mode)
    places = [_written(_folder(home), asdict(found))]
    if (listed := _list_of_user()) is not None:
        # A user without a writable folder loses the hint from other folders, and nothing else.
        with suppress(OSError):
            places.append(_written(listed, asdict(found) | {"home": str(home)}))
    return places


def read(home: Path) -> list[Running]:
    """List the processes that run now; files of those that were killed are removed."""
    return [each for each, _ in _alive(_folder(home))]


def homes() -> list[Path]:
    """List the homes in which `darkroom up` of this user runs."""
    listed = _list_of_user()
    return [] if listed is None else sorted({Path(entry["home"]) for _, entry in _alive(listed) if "home" in entry})


def elsewhere() -> str:
    """Return a hint with the home of a running `darkroom up`, for a command that found none; empty if none runs."""
    found = homes()
    if not found:
        return ""
    return f"; one runs in {found[0].parent}: go there, or set DARKROOM_HOME={shlex.quote(str(found[0]))}"


def is_up(home: Path, *, mode: str | None = None) -> bool:
    """Return whether a `darkroom up` of the home runs, in this mode if one is given."""
    return any(mode in {None, each.mode} for each in read(home))


def hint_of_start(home: Path, *, mode: str | None = None) -> str:
    """Return a hint that `darkroom up` of the home, in this mode if one is given, is starting, or is an older one.

    Empty if none runs. To be called where servers or tables are missing.
    """
    found = [each for each in read(home) if mode in {None, each.mode}]
    if not found:
        return ""
    if all(time.time() - _place(home, each.pid).stat().st_mtime > _START_S for each in found):
        return (
            f"`darkroom up` runs in {home}, and its database is missing, or of an older version of Darkroom: stop it"
            " with `darkroom down` and start it again"
        )
    return f"`darkroom up` is still starting in {home}: try again as soon as it says `ready`"


def _alive(folder: Path) -> list[tuple[Running, dict[str, Any]]]:
    found = []
    for place in sorted(folder.glob("*.json")):
        try:
            entry = json.loads(place.read_bytes())
            each = Running(pid=entry["pid"], started_at=entry["started_at"], mode=entry.get("mode", ""))
        except (OSError, ValueError, TypeError, KeyError):
            continue
        if is_alive(each):
            found.append((each, entry))
        else:
            place.unlink(missing_ok=True)
    return found


def _written(folder: Path, entry: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{os.getpid()}.json"
    place.write_text(json.dumps(entry), encoding="utf-8")
    return place


def _list_of_user() -> Path | None:
    """Return the folder that lists the homes of this user: below XDG_STATE_HOME, else ``~/.local/state``."""
    try:
        state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    except RuntimeError:
        return None
    return Path(state) / "darkroom" / "up"


@contextmanager
def web_at(home: Path, url: str) -> Iterator[None]:
    """Record, while the block lasts, that this process is the home's web process, and its URL."""
    import psutil

    entry = {"pid": os.getpid(), "started_at": psutil.Process().create_time(), "url": url}
    place = _written(home / "run" / "web", entry)
    try:
        yield
    finally:
        place.unlink(missing_ok=True)


def web_url(home: Path) -> str | None:
    """Return the URL of the home's web process; None when none runs."""
    found = [entry["url"] for _, entry in _alive(home / "run" / "web") if "url" in entry]
    return found[-1] if found else None


def is_alive(running: Running) -> bool:
    """Return whether the process has not ended."""
    import psutil

    try:
        process = psutil.Process(running.pid)
        is_same = abs(process.create_time() - running.started_at) <= _TOLERANCE_S
        return is_same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _place(home: Path, pid: int) -> Path:
    return _folder(home) / f"{pid}.json"


def _folder(home: Path) -> Path:
    return home / "run" / "up"
