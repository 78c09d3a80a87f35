"""Where a benchmark runs: embedded services in a folder of their own, a sandbox, and the processes that it starts."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests
from redis import Redis

from worker.cli.local.migrate import upgrade
from worker.core.db.session import Database
from worker.local import services
from worker.local.services import Services

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 30
LOOK_EVERY_S = 0.1
RICH = 1_000_000_000
"""Credits in the sandbox's wallet: no benchmark is about running out of them."""

_MIGRATING = threading.Lock()
"""Alembic keeps what it works on in a global of its module."""


class Stuck(Exception):
    """Something that a benchmark waits for has not come."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Postgres and Valkey of one run, durable as in production."""

    services: Services
    folder: Path

    def database_url(self, name: str, *, is_migrated: bool = True) -> str:
        """Return the URL of a database of that name, with Darkroom's tables unless told otherwise."""
        url = services.ensure_database(self.services, name)
        if is_migrated:
            with _MIGRATING:
                upgrade(url)
        return url

    def broker_url(self, number: int) -> str:
        """Return the URL of one of Valkey's numbered databases, emptied."""
        url = f"{self.services.broker_url.removesuffix('/0')}/{number}"
        with Redis.from_url(url) as server:
            server.flushdb()
        return url


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """A running stand-in for the provider."""

    base_url: str
    key: str
    pid: int

    def books(self) -> Any:
        """Return what it has counted."""
        return self._call("GET", "/sandbox/books")

    def tasks(self) -> list[dict[str, Any]]:
        """Return a row for each generation."""
        rows: list[dict[str, Any]] = self._call("GET", "/sandbox/books?tasks=1")["task_list"]
        return rows

    def open(self, account: str) -> str:
        """Open an account with a full wallet; returns its key."""
        key: str = self._call("POST", "/sandbox/keys", {"account": account})["api_key"]
        self._call("POST", "/sandbox/wallet", {"set": RICH, "account": account})
        return key

    def set(self, **settings: object) -> None:
        """Change these switches."""
        self._call("PATCH", "/sandbox/settings", settings)

    def _call(self, method: str, path: str, body: object = None) -> Any:
        headers = {"Authorization": f"Bearer {self.key}"}
        response = requests.request(method, self.base_url + path, json=body, headers=headers, timeout=TIMEOUT_S)
        response.raise_for_status()
        return response.json()


@contextmanager
def opened() -> Iterator[Ground]:
    """Yield services of their own; they are gone, data and all, when the block ends."""
    home = Path(tempfile.mkdtemp(prefix="darkroom-bench-"))
    home.chmod(0o755)
    try:
        yield Ground(services=services.start(home / "home"), folder=home)
    finally:
        services.erase(home / "home")
        subprocess.run(["rm", "-rf", str(home)], check=True)  # noqa: S603, S607 - a folder made above


@contextmanager
def sandbox(**settings: object) -> Iterator[Sandbox]:
    """Yield a sandbox with these settings and a full wallet; its process ends with the block."""
    wanted = {"wallet": RICH, "plain_images": True, **settings}
    options = [part for name, value in wanted.items() for part in ("--set", f"{name}={_as_text(value)}")]
    command = [sys.executable, "-m", "ops.sandbox", *options]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own module
    try:
        assert process.stdout is not None
        told = dict(process.stdout.readline().strip().split("=", 1) for _ in range(2))
        yield Sandbox(base_url=told["RIVYA_BASE_URL"], key=told["RIVYA_API_KEY"], pid=process.pid)
    finally:
        process.kill()
        process.communicate(timeout=TIMEOUT_S)


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@contextmanager
def child(command: list[str], environment: Mapping[str, str], log: Path, *, ready: str) -> Iterator[psutil.Process]:
    """Yield a process that has said that it is ready; it is told to end, and made to, when the block ends."""
    with log.open("wb") as stream:
        process = subprocess.Popen(  # noqa: S603 - our own modules
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        wait_until(lambda: _has_said(process, log, ready), f"{' '.join(command)} is ready", timeout_s=60)
        yield psutil.Process(process.pid)
    finally:
        _end(process)


def _has_said(process: "subprocess.Popen[bytes]", log: Path, words: str) -> bool:
    said = log.read_text(encoding="utf-8", errors="replace")
    if process.poll() is not None:
        raise Stuck(f"a process ended with {process.returncode}:\n{said[-3000:]}")
    return words in said


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=TIMEOUT_S)


def wait_until(is_so: Callable[[], bool], what: str, *, timeout_s: float, every_s: float = LOOK_EVERY_S) -> None:
    """Return when it is so; raise Stuck when it takes too long."""
    ends_at = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > ends_at:
            raise Stuck(f"in {timeout_s:.0f} s it did not happen that {what}")
        time.sleep(every_s)


def database(url: str) -> Database:
    """Open a database for looking on."""
    return Database(url, connections=2)
