"""Programs with Django, in Node and in Go enqueue in their own transactions; one that is rolled back leaves nothing.

Where there is no Node or Go the tests are skipped; a run that must have them sets DARKROOM_TEST_REQUIRE_NODE=1 and
DARKROOM_TEST_REQUIRE_GO=1.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.acceptance.waiting import until
from tests.database.test_sql_inbox import producer, status, taken_in, taking_in
from tests.pipeline.node import Node

CLIENTS = Path(__file__).resolve().parents[2] / "ops" / "clients"
GO_OF_DEBIAN = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": ""}
BUILD_S = 240


@pytest.fixture(scope="session")
def django_program() -> Sequence[str]:
    """Return the command of the program with Django."""
    return (sys.executable, str(CLIENTS / "django" / "enqueue.py"))


@pytest.fixture(scope="session")
def node_program(tmp_path_factory: pytest.TempPathFactory) -> Sequence[str]:
    """Return the command of the program in Node, with its locked packages."""
    folder = tmp_path_factory.mktemp("node") / "client"
    shutil.copytree(CLIENTS / "node", folder, ignore=shutil.ignore_patterns("node_modules"))
    _made("node", ["npm", "ci"], folder, "apt install nodejs npm")
    return ("node", str(folder / "enqueue.js"))


@pytest.fixture(scope="session")
def go_program(tmp_path_factory: pytest.TempPathFactory) -> Sequence[str]:
    """Return the command of the program in Go, built with Debian's pgx."""
    built = tmp_path_factory.mktemp("go") / "enqueue"
    needed = "apt install golang-go golang-github-jackc-pgx-v4-dev"
    _made("go", ["go", "build", "-o", str(built), "."], CLIENTS / "go", needed, **GO_OF_DEBIAN)
    return (str(built),)


def _made(language: str, command: Sequence[str], folder: Path, needed: str, **environment: str) -> None:
    """Run what makes a program; where that cannot be done here the test is skipped, unless it is required."""
    reason = f"no {command[0]} here: {needed}"
    if shutil.which(command[0]) is not None:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=BUILD_S,
            check=False,
        )
        if done.returncode == 0:
            return
        reason = f"{needed}\n{done.stdout}{done.stderr}"
    if os.environ.get(f"DARKROOM_TEST_REQUIRE_{language.upper()}") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.mark.parametrize("language", ["django", "node", "go"])
def test_a_program_enqueues_with_its_own_commit_and_a_rolled_back_one_leaves_nothing(
    language: str, node: Node, request: pytest.FixtureRequest
) -> None:
    command: Sequence[str] = request.getfixturevalue(f"{language}_program")
    url = node.services.database.url.set(drivername="postgresql", query={"options": "-c role=darkroom_producer"})
    environment = {
        **os.environ,
        "DARKROOM_DATABASE_URL": url.render_as_string(hide_password=False),
        "PGSSLMODE": "disable",
    }

    for token, rollback in (("order-1", "1"), ("order-2", "0")):
        subprocess.run(
            [*command, token, "A chair, 100 % oak", "A lamp"],
            env=environment | {"ROLLBACK": rollback},
            check=True,
            timeout=60,
        )
    with taking_in(node):
        until(lambda: taken_in(node), "the batch is written")

    with producer(node) as connection:
        rolled_back, committed = status(connection, "order-1"), status(connection, "order-2")
    assert rolled_back is None
    assert committed["jobs"] == {"pending": 2}
    assert node.query("SELECT name, owner, size FROM batch") == [{"name": "unnamed", "owner": "shop", "size": 2}]
