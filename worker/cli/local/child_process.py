"""A child process that ends with this one, is stopped in order, and is started again when it ends by itself.

The starter holds one end of a pipe, and the child runs this module with the other: ``child_process FD MODULE
ARGUMENTS``. When the starter is gone, even if it was killed, the pipe ends, and the child asks itself to end in order.
"""

import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import worker

_PACKAGES = str(Path(worker.__path__[0]).resolve().parent)
_LONGEST_PAUSE_S = 30.0
_STEADY_S = 60.0
"""A process that lived so long is forgiven its earlier ends."""
_GRACE_S = 45.0
"""Longer than a warm shutdown takes; then a child without its starter ends at once."""


@dataclass(frozen=True, kw_only=True)
class ProcessSpec:
    """How a child is made."""

    name: str
    module: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    """Its working directory: nothing there may shadow our packages."""
    log: Path | None = None
    """Where its words go; None is this process's own standard error."""


class ChildProcess:
    """One child process, in a session of its own so that Ctrl-C reaches only its starter."""

    def __init__(self, spec: ProcessSpec, *, stdout: IO[bytes] | int | None = None) -> None:
        """Start it; ``stdout`` is for a child whose answer is read."""
        self.spec = spec
        self.ends = 0
        """How often it ended by itself in a row."""
        self._stdout = stdout
        self._again_at = 0.0
        self._start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def revive(self) -> str | None:
        """Start the process again when it has ended and its back-off is over; return the message about it."""
        status = self.process.poll()
        now = time.monotonic()
        if status is None:
            if now - self._started_at > _STEADY_S:
                self.ends = 0
            return None
        if self._again_at == 0:
            self.ends += 1
            pause = min(2.0 ** (self.ends - 1), _LONGEST_PAUSE_S)
            self._again_at = now + pause
            return f"{self.spec.name} ended with status {status}; it is started again in {pause:.0f} s"
        if now >= self._again_at:
            self.release()
            self._start()
            return f"{self.spec.name} is started again"
        return None

    def ask_to_end(self) -> None:
        """Ask for an orderly end."""
        if self.process.poll() is None:
            self.process.terminate()

    def kill(self) -> None:
        """Kill it at once; its work is recovered by the next process."""
        if self.process.poll() is None:
            self.process.kill()

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def release(self) -> None:
        """Close the pipes to a child that has ended."""
        self._held.close()

    def _start(self) -> None:
        self._again_at, self._started_at = 0.0, time.monotonic()
        with ExitStack() as stack:
            theirs, ours = os.pipe()
            stack.callback(os.close, ours)
            try:
                self.process = self._spawn(theirs)
            finally:
                os.close(theirs)
            if self.process.stdout is not None:
                stack.callback(self.process.stdout.close)
            self._held = stack.pop_all()

    def _spawn(self, watched: int) -> "subprocess.Popen[bytes]":
        spec = self.spec
        command = [sys.executable, "-m", __name__, str(watched), spec.module, *spec.arguments]
        with ExitStack() as stack:
            log = None if spec.log is None else stack.enter_context(spec.log.open("ab"))
            return subprocess.Popen(  # noqa: S603 - our own interpreter and our own module
                command,
                stdin=subprocess.DEVNULL,
                stdout=self._stdout if self._stdout is not None else (log or sys.stderr),
                stderr=log or None,
                cwd=spec.folder,
                env={**spec.environment, "PYTHONPATH": _with_packages(spec.environment)},
                pass_fds=(watched,),
                start_new_session=True,
            )


def _with_packages(environment: Mapping[str, str]) -> str:
    earlier = environment.get("PYTHONPATH")
    return os.pathsep.join([_PACKAGES, earlier] if earlier else [_PACKAGES])


def main() -> None:
    """Run, in the child, the module as its own main program, with the rest of the arguments."""
    descriptor, module = int(sys.argv[1]), sys.argv[2]
    os.set_inheritable(descriptor, False)
    threading.Thread(target=_end_with, args=(descriptor,), name="parent-watch", daemon=True).start()
    sys.argv = [module, *sys.argv[3:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with(descriptor: int) -> None:
    while os.read(descriptor, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_S)
    os._exit(1)


if __name__ == "__main__":
    main()
