"""Web processes as an operator starts them: `darkroom web` on a port that a later one has again."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import requests

from tests.acceptance.waiting import until
from tests.web.serving import Web
from worker.core.rules.batch_request import Priority
from worker.settings import Settings
from worker.web import server
from worker.web.rules.identity import Right

ROOT = Path(__file__).resolve().parents[2]
TAIL = 3_000
START_S = 30.0


@dataclass(kw_only=True)
class WebProcess:
    """A `darkroom web` on one port, which may be killed and started again, and the file with its words."""

    environment: Mapping[str, str]
    log: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    """With a token of all rights."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and return when it serves."""
        command = [sys.executable, "-m", "worker.cli", "web", "--no-link", "--listen", f"127.0.0.1:{self.port}"]
        with self.log.open("ab") as stream:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        until(self.serves, f"the web process serves\n{self.words()[-TAIL:]}", timeout_s=START_S)

    def serves(self) -> bool:
        """Return whether it answers; one that has died instead is an error."""
        assert self.process is not None
        assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.words()[-TAIL:]}"
        try:
            return requests.get(f"{self.url}/healthz", timeout=5).ok
        except requests.ConnectionError:
            return False

    def kill(self) -> None:
        """End it at once, in the middle of whatever it does."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(timeout=10)

    def words(self) -> str:
        """Return all that it has said so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def resident_bytes(self) -> int:
        """Return the memory that it has."""
        assert self.process is not None
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def request(self, method: str, path: str, **options: object) -> requests.Response:
        """Send one request with the token."""
        headers = {**self.headers, **options.pop("headers", {})}  # type: ignore[dict-item]
        options.setdefault("timeout", 60)
        return requests.request(method, self.url + path, headers=headers, **options)  # type: ignore[arg-type]


def started(environment: Mapping[str, str], folder: Path) -> WebProcess:
    """Return a web process that serves, with a token in its headers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    web = WebProcess(environment=environment, log=folder / f"web-{port}.log", port=port)
    web.log.touch()
    web.start()
    web.headers = token(environment, "client")
    return web


def token(
    environment: Mapping[str, str],
    name: str,
    *rights: Right,
    owner: str | None = None,
    max_priority: Priority | None = None,
) -> dict[str, str]:
    """Make a token; return the headers that it is sent with."""
    names = {field.alias or "": name for name, field in Settings.model_fields.items()}
    settings = Settings.model_validate({each: value for each, value in environment.items() if each in names})
    context = server.context(settings)
    try:
        return Web(url="", context=context).token(name, *rights, owner=owner, max_priority=max_priority)
    finally:
        context.database.close()
