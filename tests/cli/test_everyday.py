"""The commands that people try: ls, download, results as CSV, why jobs failed, down, logs, top-up."""

import csv
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.acceptance.waiting import until
from tests.cli.conftest import Darkroom, run_here
from tests.fixtures.provider import Provider
from tests.pipeline.conftest import clock, folder, node, node_for, process, sandbox
from tests.pipeline.node import Node

__all__ = ["clock", "folder", "node", "node_for", "process", "sandbox"]

Beside = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def beside(tmp_path: Path, node: Node, database_url: str) -> Beside:
    """Return the command beside a node: they share a database and a store."""
    settings = {"DARKROOM_DATABASE_URL": database_url, "DARKROOM_STORE": str(node.folder)}
    return lambda *arguments, **environment: run_here(tmp_path, {**settings, **environment}, *arguments)


@pytest.fixture
def rendered(node: Node) -> Node:
    """Return a node that has rendered a batch of three, one of whose prompts a spreadsheet would take for a formula."""
    node.submit(
        {"key": "red", "prompt": "A red chair"},
        {"key": "sum", "prompt": "=1+1"},
        {"key": "blue", "prompt": "A blue chair", "sku": 7},
        name="chairs",
    )
    node.run_until_quiet()
    return node


def test_images_are_copied_into_a_folder_each_under_its_key(rendered: Node, beside: Beside, tmp_path: Path) -> None:
    done = beside("download", "chairs", "--to", "shop")

    assert done.returncode == 0
    assert sorted(each.name for each in (tmp_path / "shop").iterdir()) == ["blue.png", "red.png", "sum.png"]


def test_a_second_download_copies_only_what_is_missing_or_differs(
    rendered: Node, beside: Beside, tmp_path: Path
) -> None:
    beside("download", "chairs", "--to", "shop")
    (tmp_path / "shop" / "red.png").write_bytes(b"something else")

    done = json.loads(beside("download", "chairs", "--to", "shop", "--json").stdout)

    assert (done["copied"], done["present"], done["missing"]) == (1, 2, 0)


def test_a_zip_file_holds_every_page_and_every_image_as_it_is_stored(
    rendered: Node, beside: Beside, tmp_path: Path
) -> None:
    done = beside("sheet", "chairs", "--zip", "chairs.zip", "--per-page", "1", "--json")

    stored = sorted(path.read_bytes() for path in rendered.folder.rglob("*.png"))
    with ZipFile(tmp_path / "chairs.zip") as packed:
        names = packed.namelist()
        images = sorted(packed.read(name) for name in names if name.startswith("chairs/images/"))
    assert json.loads(done.stdout)["file"] == str(tmp_path / "chairs.zip")
    assert {"chairs/chairs.html", "chairs/chairs-2.html"} < set(names)
    assert images == stored


def test_full_size_images_lie_beside_the_page_that_links_to_them(
    rendered: Node, beside: Beside, tmp_path: Path
) -> None:
    beside("sheet", "chairs", "-o", "sheet.html", "--full")

    page = (tmp_path / "sheet.html").read_text()
    copies = [path.relative_to(tmp_path) for path in tmp_path.glob("sheet-images-*/*.png")]
    assert copies
    assert all(f'href="{path}"' in page for path in copies)


def test_an_image_that_the_store_has_lost_is_named_and_is_a_failure(rendered: Node, beside: Beside) -> None:
    [path] = rendered.query("SELECT path FROM result r JOIN job j ON j.id = r.job_id WHERE j.key = 'red'")
    (rendered.folder / path["path"]).unlink()

    done = beside("download", "chairs", "--to", "shop")

    assert done.returncode == 1
    assert "line 1, red: the store has no such image" in done.stderr


def test_results_as_csv_hold_no_formula(rendered: Node, beside: Beside) -> None:
    rows = list(csv.DictReader(io.StringIO(beside("results", "chairs", "--csv").stdout)))

    assert [(row["key"], row["prompt"], row["metadata"]) for row in rows] == [
        ("red", "A red chair", ""),
        ("sum", "'=1+1", ""),
        ("blue", "A blue chair", '{"sku": 7}'),
    ]


def test_only_lines_without_an_image_are_printed_when_asked_for(node: Node, sandbox: Provider, beside: Beside) -> None:
    sandbox.set(failing_prompts="broken")
    node.submit({"key": "good", "prompt": "A chair"}, {"key": "bad", "prompt": "A broken chair"}, name="chairs")
    node.run_until_quiet()

    lines = beside("results", "chairs", "--failed").stdout.splitlines()

    assert [json.loads(line)["key"] for line in lines] == ["bad"]


def test_the_status_says_why_jobs_failed_and_how_to_retry_them(node: Node, sandbox: Provider, beside: Beside) -> None:
    sandbox.set(failing_prompts="broken")
    node.submit({"key": "bad", "prompt": "A broken chair"}, {"key": "worse", "prompt": "broken, too"}, name="chairs")
    node.run_until_quiet()

    said = beside("status", "chairs")

    assert "1 or" not in said.stdout
    assert any(line.split()[:3] == ["2", "generation_failed", "bad"] for line in said.stdout.splitlines())
    assert "Retry them with `darkroom retry " in said.stdout


def test_failed_jobs_are_retried_without_saying_failed(node: Node, sandbox: Provider, beside: Beside) -> None:
    sandbox.set(failing_prompts="broken")
    node.submit({"key": "bad", "prompt": "A broken chair"}, name="chairs")
    node.run_until_quiet()

    done = beside("retry", "chairs", "--json")

    assert json.loads(done.stdout)["jobs"] == 1


def test_the_list_is_filtered_by_state_owner_and_token(rendered: Node, beside: Beside) -> None:
    rendered.submit({"prompt": "A table"}, name="tables", owner="mia", token="t-1")

    found = {
        options: [each["name"] for each in json.loads(beside("ls", *options, "--json").stdout)]
        for options in (("--state", "done"), ("--state", "running"), ("--owner", "mia"), ("--token", "t-1"), ())
    }

    assert found == {
        ("--state", "done"): ["chairs"],
        ("--state", "running"): ["tables"],
        ("--owner", "mia"): ["tables"],
        ("--token", "t-1"): ["tables"],
        (): ["tables", "chairs"],
    }


@pytest.mark.acceptance
def test_down_ends_up_and_its_services(up: "subprocess.Popen[bytes]", spawned: Darkroom, tmp_path: Path) -> None:
    until(lambda: "dispatcher.started" in (tmp_path / "up.log").read_text(), "the node's log is shown")
    logged = spawned("logs", "node1", "-n", "1000")
    funded = spawned("sandbox", "top-up", "500")

    done = spawned("down", "--json")

    assert "dispatcher.started" in logged.stdout
    assert funded.stdout == "10,500 sandbox credits available.\n"
    assert json.loads(done.stdout)["stopped"][0] == "up"
    assert up.wait(timeout=10) == 0
    assert json.loads(spawned("services", "status", "--json").stdout)["running"] is False
