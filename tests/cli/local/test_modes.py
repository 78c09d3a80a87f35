"""Two terminals, two folders, two modes: a command finds what runs, and says so when the batch is elsewhere."""

import json
import os
import subprocess
from pathlib import Path

import psutil
import pytest
from pytest_httpserver import HTTPServer

from tests.acceptance.waiting import until
from tests.cli.conftest import Darkroom, run
from tests.fixtures.provider import Provider
from worker.cli.local import running
from worker.cli.local import sandbox as local_sandbox
from worker.local import services

pytestmark = pytest.mark.acceptance


def test_another_folder_another_terminal_and_another_mode(
    up: "subprocess.Popen[bytes]", spawned: Darkroom, tmp_path: Path, good_manifest: Path
) -> None:
    below = tmp_path / "spring" / "chairs"
    below.mkdir(parents=True)
    far = tmp_path / "far" / "away"

    from_below = run(below, {}, "submit", str(good_manifest), "--wait")
    from_home = run(Path("/"), {"HOME": str(tmp_path)}, "status", "good", "--json")
    in_other_mode = spawned("status", "good", RIVYA_API_KEY="rvya_sk_live")
    nowhere = run(Path("/"), {"HOME": str(far)}, "status")

    assert from_below.returncode == 0, from_below.stderr
    assert json.loads(from_home.stdout)["name"] == "good"
    assert in_other_mode.returncode == 1
    assert "To look at sandbox mode, unset RIVYA_API_KEY" in in_other_mode.stderr
    assert "no database is running in .darkroom here, in a folder above, or in your home folder" in nowhere.stderr


def test_exported_urls_of_the_home_are_its_own_also_after_its_server_was_killed(
    up: "subprocess.Popen[bytes]", spawned: Darkroom, tmp_path: Path, good_manifest: Path
) -> None:
    exported = json.loads(spawned("env", "--json").stdout)
    server = services.status(tmp_path / ".darkroom").postgres
    assert server is not None
    psutil.Process(server.pid).kill()
    until(lambda: services.status(tmp_path / ".darkroom").postgres not in {None, server}, "Postgres runs again")

    done = run(tmp_path, exported, "submit", str(good_manifest), "--wait")

    assert done.returncode == 0, done.stderr


def test_a_submit_while_up_is_starting_says_that_its_node_is_not_ready_yet(
    spawned: Darkroom, tmp_path: Path, good_manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    home = tmp_path / ".darkroom"
    try:
        spawned("services", "start")
        running.write(home, mode="live")
        alone = spawned("submit", str(good_manifest))
        running.write(home, mode="sandbox")
        starting = spawned("status")
    finally:
        services.erase(home)

    assert "No worker node runs in sandbox mode" in alone.stderr
    assert "its worker node is not ready yet" in starting.stderr
    assert "No worker node" not in starting.stderr


def test_the_environment_is_fit_for_a_shell(up: "subprocess.Popen[bytes]", spawned: Darkroom, tmp_path: Path) -> None:
    said = spawned("env").stdout

    done = subprocess.run(
        ["sh", "-c", f"{said}\nprintf '%s' \"$DARKROOM_HOME\""],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == str(tmp_path / ".darkroom")


def test_a_sandbox_proves_what_it_is(sandbox: Provider) -> None:
    assert local_sandbox.is_sandbox(sandbox.base_url) is True


def test_an_address_on_this_machine_that_is_no_sandbox_is_none(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/sandbox").respond_with_json({"error": {"code": "not_found"}}, status=404)

    assert local_sandbox.is_sandbox(httpserver.url_for("")) is False


def test_nothing_is_known_of_an_address_that_does_not_answer() -> None:
    assert local_sandbox.is_sandbox("http://127.0.0.1:9") is None
