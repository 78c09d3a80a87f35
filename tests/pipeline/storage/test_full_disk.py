"""A disk that is full, on the way into the store or under it: images wait, with the reason, and then are stored."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.cli.conftest import run_here
from tests.fixtures import disks
from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.node import Node
from worker.engine.services import Services
from worker.storage.folder import Folder
from worker.storage.spool import SpoolFolder

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
MANY = tuple({"key": f"k{n}", "prompt": f"A chair, number {n}"} for n in range(3))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with disks.small(tmp_path / "disk", megabytes=20) as mounted:
        yield mounted


@pytest.fixture
def spooling(node: Node, disk: Path) -> Node:
    """Return a node whose folder for temporary files is on the small disk."""
    node.keep({"store": MINUTE})
    node.services.store.spool = SpoolFolder(disk / "spool")
    return node


def test_a_full_folder_for_temporary_files_costs_no_image_and_says_so(
    spooling: Node, sandbox: Provider, disk: Path, database_url: str, tmp_path: Path
) -> None:
    settings = {"DARKROOM_DATABASE_URL": database_url, "DARKROOM_STORE": str(spooling.folder)}
    disks.fill(disk)
    spooling.submit(*MANY, token="t")
    spooling.run_for(20 * SECOND)
    early = json.loads(run_here(tmp_path, settings, "status", "t", "--json").stdout)["waiting_for"]
    spooling.run_for(10 * MINUTE)
    spooling.clock.advance(DAY)
    spooling.run_for(10 * MINUTE)
    during, reason = spooling.jobs(), spooling.pause_reason()
    disks.empty(disk)

    spooling.run_for(3 * MINUTE)

    assert "No space left on device" in early["reason"]
    assert str(disk / "spool") in early["reason"]
    assert (set(during), reason) == ({"active"}, "store_unavailable")
    assert spooling.jobs() == ["succeeded"] * len(MANY)
    assert spooling.pause_reason() is None
    assert spooling.query("SELECT max(attempts) AS n FROM step") == [{"n": None}]
    books.check_all_done(spooling, sandbox)


def test_a_full_disk_under_the_store_costs_no_image(node: Node, sandbox: Provider, disk: Path) -> None:
    node.keep({"store": MINUTE})
    _move_store(node.services, disk / "images")
    disks.fill(disk)
    node.submit(*MANY)
    node.run_for(10 * MINUTE)
    during, reason = node.jobs(), node.pause_reason()
    disks.empty(disk)

    node.run_for(3 * MINUTE)

    assert (set(during), reason) == ({"active"}, "store_unavailable")
    assert node.jobs() == ["succeeded"] * len(MANY)
    assert sorted(path.name for path in (disk / "images").iterdir())[:2] == [".darkroom-probe", ".darkroom-store"]
    books.check_all_done(node, sandbox)


def _move_store(services: Services, to: Path) -> None:
    services.store._backend = Folder(to)
    services.store.ready()
