"""Worker nodes as an operator starts them: processes of their own, which can be ended, killed, frozen and thawed."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests.acceptance.waiting import until

ROOT = Path(__file__).resolve().parents[2]
THIS_VERSION = str(ROOT)
TAIL = 3_000
_numbers = count(1)


@dataclass(frozen=True, kw_only=True)
class WorkerNode:
    """One running worker process and the file with its words."""

    process: subprocess.Popen[bytes]
    log: Path

    def words(self) -> str:
        """Return all that the node has said so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def is_running(self) -> bool:
        return self.process.poll() is None

    def has_begun(self) -> bool:
        """Tell whether the node takes messages; one that has died instead is an error."""
        assert self.is_running(), f"the node ended with {self.process.returncode}:\n{self.words()[-TAIL:]}"
        return " ready." in self.words()

    def kill(self) -> None:
        """End the node at once, in the middle of whatever it does."""
        self.process.kill()
        self.process.wait(timeout=10)

    def drain(self, *, timeout_s: float) -> int:
        """Ask the node to end, and return its exit status; fail when it takes longer."""
        self.process.send_signal(signal.SIGTERM)
        until(lambda: not self.is_running(), f"the node ends\n{self.words()[-TAIL:]}", timeout_s=timeout_s)
        return self.process.returncode

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)


def start(
    environment: Mapping[str, str], folder: Path, *, module: str = "celery", root: str = THIS_VERSION
) -> WorkerNode:
    """Start a node with these settings; it is not waited for.

    Another module may stand in for Celery's own, and another root has the code of another version.
    """
    name = f"node-{os.getpid()}-{next(_numbers)}"
    log = folder / f"{name}.log"
    # Without the second in which a node looks for its neighbours, of which it has no need.
    command = [sys.executable, "-m", module, "-A", "worker.celery_app", "worker", "--without-mingle", "-n", name]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            cwd=root,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    return WorkerNode(process=process, log=log)


def free_address() -> str:
    """Return an address of the loopback at which a node may serve its metrics."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"127.0.0.1:{listening.getsockname()[1]}"
