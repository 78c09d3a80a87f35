"""A client in another language, generated from the served OpenAPI document, loses nothing when the server is killed.

Without Node the test is skipped; a run that must have it sets DARKROOM_TEST_REQUIRE_NODE=1. So many lines as
DARKROOM_TEST_CLIENT_LINES are submitted (`-s` shows how long the client took).
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance import books, manifests, webs
from tests.acceptance.waiting import until
from tests.acceptance.webs import WebProcess
from tests.acceptance.world import World

SOURCE = Path(__file__).resolve().parents[2] / "ops" / "clients" / "typescript"
LINES = int(os.environ.get("DARKROOM_TEST_CLIENT_LINES", "400"))
REFERENCES = 25
BUILD_S = 240
RENDER_S = 60 + LINES / 10
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(BUILD_S + 2 * RENDER_S)]


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the sources of the client and its locked packages."""
    is_required = os.environ.get("DARKROOM_TEST_REQUIRE_NODE") == "1"
    if not (shutil.which("node") and shutil.which("npm")):
        assert not is_required, "no Node here, and this run must have it: apt install nodejs npm"
        pytest.skip("no Node here: apt install nodejs npm")
    folder = tmp_path_factory.mktemp("typescript") / "client"
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("node_modules", "dist", "api.ts"))
    done = run(["npm", "ci"], folder)
    if done.returncode and not is_required:
        pytest.skip(f"npm cannot install here: {done.stderr[-500:]}")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def run(command: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=BUILD_S,
        check=False,
    )


@pytest.fixture
def web(local_world: World) -> Iterator[WebProcess]:
    """Yield a web process of this world."""
    started = webs.started(local_world.settings, local_world.folder)
    yield started
    started.kill()


@dataclass(frozen=True, kw_only=True)
class ClientProcess:
    """The program that was built, as it runs."""

    process: subprocess.Popen[bytes]
    folder: Path
    log: Path

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Return the whole lines that it has written so far."""
        path = self.folder / name
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def has_ended(self) -> bool:
        return self.process.poll() is not None


def started(built: Path, world: World, web: WebProcess) -> ClientProcess:
    """Start the client on a manifest of which each line has a reference."""
    requests = manifests.with_references(LINES, world.folder, references=REFERENCES)
    manifest, log = world.folder / "lines.jsonl", world.folder / "client.log"
    manifest.write_text("".join(json.dumps(each) + "\n" for each in requests), encoding="utf-8")
    files = sorted(str(path) for path in world.folder.glob("reference-*.png"))
    environment = {"DARKROOM_API": web.url, "DARKROOM_TOKEN": web.headers["Authorization"].removeprefix("Bearer ")}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [
                "node",
                str(built / "dist" / "render.js"),
                "spring-2026",
                str(manifest),
                str(world.folder / "out"),
                *files,
            ],
            env={**os.environ, **environment},
            stdout=stream,
            stderr=stream,
        )
    return ClientProcess(process=process, folder=world.folder / "out", log=log)


def test_a_generated_client_follows_through_a_kill_and_downloads_each_line_in_order(
    packages: Path, local_world: World, web: WebProcess
) -> None:
    generated = run(["npm", "run", "generate"], packages, DARKROOM_API=web.url)
    compiled = run(["npm", "run", "build"], packages)
    assert (generated.returncode, compiled.returncode) == (0, 0), generated.stderr + compiled.stdout
    local_world.provider.fund(LINES * 10)
    local_world.node()

    client = started(packages, local_world, web)
    try:
        until(lambda: len(client.rows("events.jsonl")) >= LINES // 4, "a quarter has ended", timeout_s=RENDER_S)
        web.kill()
        seen = len(client.rows("events.jsonl"))
        until(lambda: local_world.count("job", "state = 'succeeded'") > LINES // 2, "half is done", timeout_s=RENDER_S)
        web.start()
        until(lambda: len(client.rows("results.jsonl")) >= LINES // 3, "a third is loaded", timeout_s=RENDER_S)
        web.kill()
        web.start()
        until(client.has_ended, f"the client ends\n{client.log.read_text()}", timeout_s=RENDER_S)
    finally:
        client.process.kill()

    events, results = client.rows("events.jsonl"), client.rows("results.jsonl")
    sys.stdout.write(client.log.read_text())
    assert client.process.returncode == 0, client.log.read_text()
    assert seen < LINES
    assert sorted(each["line"] for each in events) == list(range(1, LINES + 1))
    assert [each["line"] for each in results] == list(range(1, LINES + 1))
    assert {each["state"] for each in [*events, *results]} == {"succeeded"}
    assert all(each["reference"] for each in results)
    assert [each["sha256"] for each in results] == [hash_of(client.folder / each["file"]) for each in results]
    assert local_world.count("batch") == 1
    books.check(local_world)


def hash_of(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
