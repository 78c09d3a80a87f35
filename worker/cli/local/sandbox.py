"""`darkroom sandbox`: the stand-in provider, where the one of a home listens, and the answer that proves it."""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import typer

_CLOCK_TOLERANCE_S = 2.0


@dataclass(frozen=True, kw_only=True)
class SandboxRecord:
    """One sandbox process, which may have ended since."""

    pid: int
    started_at: float
    """Seconds since 1970, as the system tells it: a process id alone may be used again."""
    url: str
    key: str = field(repr=False)
    keys: dict[str, str] = field(default_factory=dict, repr=False)
    """By account of Darkroom, as far as they were opened in it; empty: there is one account, with ``key``."""

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

    return _written(home, SandboxRecord(pid=pid, started_at=psutil.Process(pid).create_time(), url=url, key=key))


def open_accounts(home: Path, record: SandboxRecord, names: Iterable[str]) -> SandboxRecord:
    """Open an account in the sandbox for each of these names that has none, and remember their keys.

    The sandbox keeps accounts and keys across restarts, so that each account comes back with the same key. Raise
    CliError if the sandbox does not answer.
    """
    keys = {name: str(_told(record, "keys", {"account": name, "reuse": True})["api_key"]) for name in names}
    return _written(home, replace(record, keys=record.keys | keys)) if keys else record


def _written(home: Path, record: SandboxRecord) -> SandboxRecord:
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


SIGN = "darkroom.sandbox"
_TIMEOUT_S = 2.0


def is_sandbox(base_url: str) -> bool | None:
    """Ask the address; None when nothing answers there.

    Only an address on this machine is asked: a sandbox listens nowhere else, and no key is sent.
    """
    from worker.provider.session import is_loopback_url

    if not is_loopback_url(base_url):
        return False
    import requests

    session = requests.Session()
    session.trust_env = False
    try:
        with session.get(
            f"{base_url.rstrip('/')}/sandbox", timeout=_TIMEOUT_S, allow_redirects=False, stream=True
        ) as response:
            content = response.raw.read(1024, decode_content=False)
    except (requests.RequestException, OSError, ValueError):
        return None
    return f'"object": "{SIGN}"'.encode() in content or f'"object":"{SIGN}"'.encode() in content


_ORDER_TIMEOUT_S = 10
DEFAULT_CREDITS = 10_000


def sandbox(context: typer.Context) -> None:
    """Run the sandbox provider alone; options such as --port and --state go to it, --help lists them.

    `darkroom sandbox top-up [CREDITS]` puts credits into the wallet of the sandbox that runs in this home.
    """
    import worker

    if context.args[:1] == ["top-up"]:
        _top_up(context.args[1:])
        return
    from worker.cli.local import parts

    parts.require_sandbox()
    packages = str(Path(worker.__path__[0]).resolve().parent)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (packages, os.environ.get("PYTHONPATH"))))
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "ops.sandbox", *context.args])  # noqa: S606 - our own module


def _top_up(arguments: list[str]) -> None:
    from worker.cli import output
    from worker.cli.context import home
    from worker.cli.errors import MISUSED, CliError
    from worker.settings import load

    text = arguments[0] if arguments else str(DEFAULT_CREDITS)
    if len(arguments) > 1 or not text.isdecimal() or not int(text):
        raise CliError("write `darkroom sandbox top-up CREDITS` with a whole number above 0", MISUSED)
    found = running(home())
    if found is None:
        raise CliError(f"no sandbox runs in {home()}: `darkroom up` starts one")
    account = load().account
    whose = {"account": account} if account in found.keys else {}
    available = int(_told(found, "wallet", {"add": int(text), **whose})["available"])
    output.answers().print(f"{available:,} sandbox credits available{f' to {account}' if whose else ''}.")


def _told(record: SandboxRecord, what: str, order: Mapping[str, object]) -> dict[str, Any]:
    """Give the sandbox an order; raise CliError if it refuses it or does not answer."""
    import requests

    from worker.cli.errors import CliError

    try:
        answer = requests.post(
            f"{record.url}/sandbox/{what}",
            json=order,
            headers={"Authorization": f"Bearer {record.key}"},
            timeout=_ORDER_TIMEOUT_S,
        )
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
    except (requests.RequestException, ValueError) as error:
        raise CliError(f"the sandbox at {record.url} did not carry out an order about its {what}: {error}") from error
    return found
