"""`darkroom up` looks after all that it has started."""

import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.acceptance.waiting import until
from tests.cli.conftest import Darkroom
from worker.local import home, services
from worker.local.records import Running
from worker.local.services import Status

pytestmark = pytest.mark.acceptance

LOOKS = 3
"""Tries of a node, a second or more apart: `up` has looked at its services meanwhile."""


def test_servers_that_are_killed_are_started_again_and_the_work_goes_on(
    up: "subprocess.Popen[bytes]", spawned: Darkroom, tmp_path: Path, good_manifest: Path
) -> None:
    before = _running(tmp_path)

    _kill(before.valkey)
    _kill(before.postgres)
    until(lambda: None not in vars(_running(tmp_path)).values(), "both servers run again")
    done = spawned("submit", str(good_manifest), "--wait")

    assert done.returncode == 0, done.stdout + done.stderr
    assert up.poll() is None


def test_servers_that_were_stopped_on_purpose_stay_stopped(
    up: "subprocess.Popen[bytes]", spawned: Darkroom, tmp_path: Path
) -> None:
    stopped = spawned("services", "stop")
    until(lambda: (tmp_path / "up.log").read_text().count("database_unreachable") >= LOOKS, "the node misses it")
    up.send_signal(signal.SIGTERM)
    status = up.wait(timeout=90)

    assert (stopped.returncode, status) == (0, 0)
    assert _running(tmp_path) == Status(postgres=None, valkey=None)


def _kill(server: Running | None) -> None:
    assert server is not None
    process = psutil.Process(server.pid)
    process.kill()
    process.wait(timeout=10)


def _running(folder: Path) -> Status:
    return services.status(home.at(folder / ".darkroom").root)
