"""A child process ends with its starter, however that one ended, and comes back when it ends by itself."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.cli.conftest import ROOT
from worker.cli.local.child_process import ChildProcess, ProcessSpec
from worker.cli.local.services import ServiceLock, mark_ephemeral, mark_persistent

DEADLINE_S = 20
STARTER = """
import os, sys
from pathlib import Path
from worker.cli.local.child_process import ChildProcess, ProcessSpec
child = ChildProcess(ProcessSpec(name="c", module="http.server", arguments=["--bind", "127.0.0.1", "0"],
                     environment=os.environ, folder=Path(sys.argv[1]), log=Path(sys.argv[1]) / "log"))
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_a_child_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout is not None
    child = psutil.Process(int(starter.stdout.readline()))

    starter.kill()
    starter.communicate()

    assert _comes_true(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_a_child_that_ends_by_itself_is_started_again(tmp_path: Path) -> None:
    child = ChildProcess(_recipe(tmp_path))
    first = child.pid

    child.process.kill()
    child.process.wait()
    _comes_true(lambda: child.revive() is not None and not child.is_over)

    assert child.pid != first
    child.kill()
    child.process.wait()
    child.release()


def test_the_last_guest_of_passing_services_is_told_so(tmp_path: Path) -> None:
    first, second = ServiceLock(tmp_path), ServiceLock(tmp_path)
    mark_ephemeral(tmp_path)

    told = (first.leave(), second.leave())

    assert told == (False, True)


def test_persistent_services_are_not_stopped_by_other_processes(tmp_path: Path) -> None:
    guest = ServiceLock(tmp_path)
    mark_ephemeral(tmp_path)
    mark_persistent(tmp_path)

    assert not guest.leave()


def _recipe(folder: Path) -> ProcessSpec:
    return ProcessSpec(
        name="c",
        module="http.server",
        arguments=["--bind", "127.0.0.1", "0"],
        environment={},
        folder=folder,
        log=folder / "log",
    )


def _comes_true(is_so: Callable[[], bool]) -> bool:
    until = time.monotonic() + DEADLINE_S
    while not (holds := is_so()) and time.monotonic() < until:
        time.sleep(0.02)
    return holds
