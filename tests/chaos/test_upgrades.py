"""An upgrade under load: nodes of the version before work on the new tables until nodes of this one replace them."""

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from tests.acceptance import books, manifests
from tests.acceptance import world as worlds
from tests.acceptance.nodes import ROOT, WorkerNode
from tests.acceptance.waiting import until
from tests.acceptance.world import World
from tests.chaos import moments
from tests.fixtures import databases
from tests.fixtures.provider import Provider
from worker.core.db import schema

pytestmark = pytest.mark.chaos

VERSIONS = "migrations/versions"
SLOW = {**moments.SLOW_ANSWERS, "latency_median_s": 2.0}
DRAINED_S = 60.0


def git(*arguments: str) -> bytes:
    """Run git on this repository; what it cannot answer is a skip: there is no history here."""
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no version before in the history here (git clone --unshallow): {error}")


def before(name: str) -> str:
    """Return the commit before the one that brought a migration."""
    added = git("log", "-1", "--diff-filter=A", "--format=%H", "--", f"{VERSIONS}/{name}").decode().strip()
    if not added:
        pytest.skip(f"{name} is not committed yet")
    return git("rev-parse", "--verify", f"{added}^").decode().strip()


def with_migrations(names: set[str]) -> str:
    """Return the newest commit that has just these migrations."""
    for commit in git("log", "--format=%H", "--", VERSIONS).decode().split():
        files = git("ls-tree", "--name-only", commit, f"{VERSIONS}/").decode().split()
        if {Path(file).name for file in files} == names:
            return commit
    pytest.skip("no version before in the history here (git clone --unshallow)")


def extracted(commit: str, root: Path) -> Path:
    with tarfile.open(fileobj=io.BytesIO(git("archive", commit))) as archive:
        archive.extractall(root, filter="data")
    return root


@pytest.fixture
def previous(tmp_path: Path) -> Path:
    """Return a folder with the code of the version before the newest migration."""
    present = {each.name for each in (ROOT / VERSIONS).glob("*.py")}
    newest = Path(next(ScriptDirectory.from_config(schema.config()).walk_revisions()).path).name
    return extracted(with_migrations(present - {newest}), tmp_path / "earlier")


@pytest.fixture
def first_release(tmp_path: Path) -> Path:
    """Return a folder with the code of 0.1.0, whose nodes do not say what they know."""
    return extracted(before("0045_recorded_settings.py"), tmp_path / "earlier")


def run(world: World, root: Path, *arguments: str) -> None:
    """Run a module of the version in the folder."""
    said = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=root,
        env={**os.environ, **world.settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert said.returncode == 0, f"{said.stdout}\n{said.stderr}"


@pytest.fixture
def world(empty_database_url: str, broker_urls: dict[str, str], tmp_path: Path, sandbox: Provider) -> Iterator[World]:
    """Yield a Darkroom without tables."""
    with worlds.opened(empty_database_url, broker_urls["embedded"], tmp_path, sandbox) as opened:
        yield opened


def working(world: World, root: Path) -> list[WorkerNode]:
    """Make the tables of a version, and return two nodes of it in the middle of a batch."""
    world.provider.set(**SLOW)
    run(world, root, "alembic", "upgrade", "head")
    old = [world.begin_node(root=str(root)), world.node(root=str(root))]
    until(old[0].has_begun, "the other node works, too")
    manifest = world.folder / "manifest.jsonl"
    manifest.write_text("".join(f"{json.dumps(each)}\n" for each in manifests.plain(moments.JOBS)))
    run(world, root, "worker.cli", "submit", str(manifest), "--name", "before")
    moments.in_mid_run(world)
    return old


def upgrade(world: World) -> None:
    command.upgrade(databases.alembic_config(world.database.url.render_as_string(hide_password=False)), "head")


def test_nodes_of_the_version_before_go_on_with_the_new_tables_until_they_are_replaced(
    world: World, previous: Path
) -> None:
    old = working(world, previous)

    upgrade(world)
    done = world.count("result")
    world.submit(manifests.plain(20), name="after")
    until(lambda: world.count("result") > done + 5, "old nodes go on")
    new = world.node()
    statuses = [node.drain(timeout_s=DRAINED_S) for node in old]
    world.provider.set(**moments.PROMPT_ANSWERS)
    world.wait_until_done_in_haste(timeout_s=90)

    assert statuses == [0, 0]
    assert new.is_running()
    books.check(world)


def test_tables_that_nodes_of_the_first_release_cannot_use_wait_until_these_are_stopped(
    world: World, first_release: Path
) -> None:
    old = working(world, first_release)

    with pytest.raises(DBAPIError, match="nodes of an older version are alive"):
        upgrade(world)
    statuses = [node.drain(timeout_s=DRAINED_S) for node in old]
    world.query("UPDATE node SET seen_at = seen_at - interval '1 minute'")
    upgrade(world)
    world.provider.set(**moments.PROMPT_ANSWERS)
    world.node()
    world.wait_until_done_in_haste(timeout_s=90)

    assert statuses == [0, 0]
    books.check(world)
