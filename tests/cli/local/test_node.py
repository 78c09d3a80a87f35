"""`darkroom node`: a process for each core, which is drained with its starter and refuses foreign tables."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from tests.acceptance import world as worlds
from tests.acceptance.nodes import ROOT, free_address
from tests.acceptance.waiting import until
from tests.acceptance.world import World
from tests.fixtures.provider import Provider
from worker.cli.local import node
from worker.core.db import schema
from worker.local import ports

pytestmark = pytest.mark.acceptance


@pytest.fixture
def world(database_url: str, broker_urls: dict[str, str], tmp_path: Path, sandbox: Provider) -> Iterator[World]:
    with worlds.opened(database_url, broker_urls["embedded"], tmp_path, sandbox) as opened:
        yield opened


def free_port() -> int:
    return int(free_address().rpartition(":")[2])


class Command:
    """The command as a process of its own, and what it has said."""

    def __init__(self, world: World, *arguments: str, **settings: str) -> None:
        self.log = world.folder / "node.log"
        with self.log.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "worker.cli", "node", *arguments],
                cwd=ROOT,
                env={**os.environ, **world.settings, **settings},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )

    def words(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@pytest.fixture
def started(world: World) -> Iterator[list[Command]]:
    """Yield a list for commands, which are ended with all that they have started."""
    commands: list[Command] = []
    yield commands
    for each in commands:
        if each.process.poll() is None:
            for child in psutil.Process(each.process.pid).children(recursive=True):
                child.kill()
            each.process.kill()
            each.process.wait(timeout=10)
        sys.stdout.write(each.words())


def test_two_processes_work_serve_metrics_at_ports_of_their_own_and_drain(world: World, started: list[Command]) -> None:
    port = next(each for each in iter(free_port, 0) if ports.is_free(each + 1))
    started.append(Command(world, "--processes", "2", DARKROOM_NODE_METRICS=f"127.0.0.1:{port}"))
    until(lambda: world.count("node", "last_round_at IS NOT NULL") == 2, "two nodes complete rounds")
    world.submit([{"prompt": f"Chair {number}"} for number in range(5)])
    world.wait_until_done()
    answers = [requests.get(f"http://127.0.0.1:{port + place}/healthz", timeout=10) for place in (0, 1)]

    status = started[0].end()

    assert [answer.status_code for answer in answers] == [200, 200]
    assert status == 0
    assert world.count("node") == 0
    assert world.count("node", "knows IS NULL") == 0


def test_one_process_replaces_the_command(world: World, started: list[Command]) -> None:
    started.append(Command(world, "--processes", "1", DARKROOM_NODE_METRICS="off"))
    until(lambda: world.count("node", "last_round_at IS NOT NULL") == 1, "the node completes rounds")

    [row] = world.query("SELECT name, knows FROM node")

    assert row["name"].endswith(f":{started[0].process.pid}")
    assert row["knows"] == schema.head()
    assert started[0].end() == 0


def test_a_node_refuses_a_schema_newer_than_it_knows(world: World, started: list[Command]) -> None:
    world.query("UPDATE alembic_version SET version_num = '9999'")

    started.append(Command(world, "--processes", "1", DARKROOM_NODE_METRICS="off"))

    assert started[0].process.wait(timeout=60) == 2
    assert "the database is at 9999" in started[0].words()
    assert world.count("node") == 0


def test_cores_are_bounded_by_affinity_and_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = len(os.sched_getaffinity(0))
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr(node, "_CPU_MAX", quota)

    assert node.cores() == mine
    quota.write_text("50000 100000\n")
    assert node.cores() == 1
    quota.write_text("max 100000\n")
    assert node.cores() == mine
