"""What is remembered of the servers between commands: process, start time and port, and the passwords."""

import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from worker.local.errors import ServicesError

LOCK_TIMEOUT_S = 120
LOCK_POLL_S = 0.02


@dataclass(frozen=True, kw_only=True)
class Running:
    """A server process: its id and start time, as systems reuse ids."""

    pid: int
    started_at: float
    """Seconds since 1970, as the system tells the process's start."""
    port: int


@dataclass(frozen=True, kw_only=True)
class Passwords:
    """The servers' passwords; safe in a URL."""

    postgres: str = field(repr=False)
    valkey: str = field(repr=False)


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Hold the lock of a home; a second process waits while the first one starts or stops the servers."""
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    with lock.open("a") as stream:
        while not takes_lock(stream.fileno()):
            if time.monotonic() > deadline:
                raise ServicesError(
                    "The embedded services are busy",
                    f"another process has held {lock} for {LOCK_TIMEOUT_S} s",
                    f"find it with `fuser {lock}` and end it.",
                )
            time.sleep(LOCK_POLL_S)
        yield


def read(path: Path) -> Mapping[str, Running]:
    """Return the last known servers by name; nothing when the file is missing or broken, which is no harm."""
    try:
        return {name: Running(**record) for name, record in json.loads(path.read_bytes()).items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return {}


def write(path: Path, records: Mapping[str, Running]) -> None:
    """Replace the remembered servers in one step."""
    _replace(path, json.dumps({name: asdict(record) for name, record in records.items()}))


def passwords(path: Path, *, is_new: bool) -> Passwords:
    """Return the passwords of a home; made when the home is new."""
    try:
        return Passwords(**json.loads(path.read_bytes()))
    except FileNotFoundError as error:
        if not is_new:
            raise ServicesError(
                "The embedded database cannot be opened",
                f"its password file {path} is missing",
                "put that file back, or set DARKROOM_HOME to a new folder; the data is left as it is.",
            ) from error
    made = Passwords(postgres=secrets.token_urlsafe(24), valkey=secrets.token_urlsafe(24))
    _replace(path, json.dumps(asdict(made)))
    return made


def with_new_broker_password(path: Path, known: Passwords) -> Passwords:
    """Replace the broker's password, which its next start takes; the database's is in the database."""
    made = replace(known, valkey=secrets.token_urlsafe(24))
    _replace(path, json.dumps(asdict(made)))
    return made


def known_passwords(path: Path) -> Passwords | None:
    """Return the passwords of a home; None when it has none that can be read."""
    try:
        return Passwords(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def takes_lock(descriptor: int) -> bool:
    """Lock the file for this process, unless another has it locked; return whether it is."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _replace(path: Path, text: str) -> None:
    """Write beside the file and rename: a reader sees the old text or the new one, and only the owner may read."""
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    with open(beside, "w", encoding="utf-8", opener=_private) as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(path)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
