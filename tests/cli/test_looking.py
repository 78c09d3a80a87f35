"""A batch is found, shown, handed back line by line, and can be withdrawn."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from uuid_utils.compat import uuid7

from tests.cli.conftest import Darkroom
from worker.core.db.session import Database
from worker.node.queries import nodes
from worker.node.queries.nodes import Beat


@pytest.fixture
def batch(darkroom: Darkroom, manifest: Path) -> str:
    """Return the id of a batch of two pending jobs and one refused line."""
    done = darkroom("submit", str(manifest), "--skip-invalid", "--token", "spring", "--credit-cap", "100", "--json")
    return str(json.loads(done.stdout)["batch"])


def test_status_has_the_fixed_names(darkroom: Darkroom, batch: str) -> None:
    shown = json.loads(darkroom("status", batch, "--json").stdout)

    jobs = {"pending": 2, "active": 0, "succeeded": 0, "failed": 0, "cancelled": 0, "in_doubt": 0}
    fixed = {"batch": batch, "name": "chairs", "state": "running", "done": False, "jobs": jobs}
    assert fixed.items() <= shown.items()
    assert shown["credits"] == {"cap": 100, "held": 0, "reserved": 0, "spent": 0}


@pytest.mark.parametrize("name", ["spring", "chairs"])
def test_a_batch_is_known_by_its_token_and_its_name(darkroom: Darkroom, batch: str, name: str) -> None:
    shown = json.loads(darkroom("status", name, "--json").stdout)

    assert shown["batch"] == batch


def test_a_batch_is_known_by_the_beginning_of_its_id(darkroom: Darkroom, batch: str) -> None:
    shown = json.loads(darkroom("status", batch[:13], "--json").stdout)

    assert shown["batch"] == batch


def test_a_batch_that_is_not_there_ends_with_1_and_the_next_step(darkroom: Darkroom, batch: str) -> None:
    missing = darkroom("status", "autumn")

    assert missing.returncode == 1
    assert missing.stderr == "darkroom: there is no batch 'autumn': `darkroom status` lists the newest ones\n"


def test_a_cap_below_the_price_of_one_job_is_what_the_batch_waits_for(darkroom: Darkroom, good_manifest: Path) -> None:
    darkroom("submit", str(good_manifest), "--credit-cap", "3", "--token", "poor")

    shown = json.loads(darkroom("status", "poor", "--json").stdout)

    assert (shown["state"], shown["waiting_for"]["reason"]) == ("waiting", "credit cap reached")
    assert f"darkroom cap {shown['batch']} N" in shown["waiting_for"]["next_step"]


def test_watching_a_batch_that_cannot_go_on_ends_with_1(darkroom: Darkroom, good_manifest: Path) -> None:
    darkroom("submit", str(good_manifest), "--credit-cap", "3", "--token", "poor")

    watched = darkroom("watch", "poor")

    assert watched.returncode == 1
    assert "1 job will not be rendered: credit cap reached." in watched.stderr


def test_results_have_every_line_in_input_order(darkroom: Darkroom, batch: str) -> None:
    lines = _results(darkroom, batch)

    assert [(each["line"], each["key"], each["state"]) for each in lines] == [
        (1, "red", "pending"),
        (2, "huge", "refused"),
        (3, "blue", "pending"),
    ]


def test_results_hand_metadata_back(darkroom: Darkroom, batch: str) -> None:
    lines = _results(darkroom, batch)

    assert lines[0]["metadata"] == {"sku": 7}


def test_results_in_a_file_are_those_on_standard_output(darkroom: Darkroom, batch: str, tmp_path: Path) -> None:
    printed = darkroom("results", batch).stdout

    darkroom("results", batch, "-o", "out.jsonl")

    assert (tmp_path / "out.jsonl").read_text() == printed


def test_a_cancelled_batch_is_done_and_a_watch_of_it_ends_with_1(darkroom: Darkroom, batch: str) -> None:
    effect = json.loads(darkroom("cancel", batch, "--json").stdout)

    assert effect == {"batch": batch, "cancelled": 2, "released": 0, "draining": 0}
    assert darkroom("watch", batch).returncode == 1


def test_a_sheet_shows_every_prompt(darkroom: Darkroom, batch: str, tmp_path: Path) -> None:
    done = darkroom("sheet", batch, "-o", "sheet.html")

    assert done.returncode == 0
    assert "A blue chair" in (tmp_path / "sheet.html").read_text()


@pytest.mark.parametrize("options", [("-o", "x.html"), ("--full",)])
def test_a_zip_file_excludes_another_place(darkroom: Darkroom, batch: str, options: tuple[str, ...]) -> None:
    done = darkroom("sheet", batch, "--zip", "sheet.zip", *options)

    assert (done.returncode, "--zip names the file" in done.stderr) == (2, True)


def test_a_sheet_of_many_jobs_is_several_pages(darkroom: Darkroom, batch: str, tmp_path: Path) -> None:
    done = darkroom("sheet", batch, "-o", "sheet.html", "--per-page", "1", "--json")

    pages = [str(tmp_path / name) for name in ("sheet.html", "sheet-2.html")]
    answer = json.loads(done.stdout)
    assert (answer["file"], answer["pages"]) == (pages[0], pages)
    assert "A blue chair" in (tmp_path / "sheet-2.html").read_text()


@pytest.mark.parametrize(("state", "job_state"), [("failed", "failed"), ("in-doubt", "in_doubt")])
def test_the_list_has_the_batches_with_jobs_that_failed_or_are_in_doubt(
    darkroom: Darkroom, batch: str, database: Database, good_manifest: Path, state: str, job_state: str
) -> None:
    darkroom("submit", str(good_manifest), "--name", "good")
    before = darkroom("ls", "--state", state)
    with database.transaction() as tx:
        values = {"state": job_state, "batch": batch}
        tx.execute(text("UPDATE job SET state = :state, ended_at = now() WHERE batch_id = :batch"), values)

    found = json.loads(darkroom("ls", "--state", state, "--json").stdout)

    assert before.stdout == "No batch matches.\n"
    assert [each["batch"] for each in found] == [batch]


def test_the_list_of_open_batches_leaves_out_those_that_have_ended(
    darkroom: Darkroom, batch: str, good_manifest: Path
) -> None:
    darkroom("submit", str(good_manifest), "--name", "good")
    darkroom("pause", batch)
    darkroom("cancel", "good")

    found = json.loads(darkroom("ls", "--state", "open", "--json").stdout)

    assert [(each["batch"], each["state"]) for each in found] == [(batch, "paused")]


def test_the_audit_of_sound_books_ends_with_0(darkroom: Darkroom, batch: str) -> None:
    audited = darkroom("audit", "verify", "--json")

    found = json.loads(audited.stdout)
    assert audited.returncode == 0
    assert found["ok"]
    assert found["totals"]["jobs"] == 2


def _results(darkroom: Darkroom, batch: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in darkroom("results", batch).stdout.splitlines()]


def test_a_batch_that_no_node_serves_is_taken_with_a_warning_that_names_the_command(
    darkroom: Darkroom, good_manifest: Path
) -> None:
    taken = darkroom("submit", str(good_manifest), "--name", "chairs")

    shown, listed = darkroom("status", "chairs"), darkroom("status")

    for said in (taken, shown, listed):
        assert "No worker node runs on this database" in said.stderr
        assert "`darkroom up`" in said.stderr
    assert json.loads(darkroom("status", "chairs", "--json").stdout)["nodes"] == 0


def test_no_warning_comes_where_a_node_runs_or_nothing_is_to_be_done(
    darkroom: Darkroom, good_manifest: Path, database_url: str
) -> None:
    darkroom("submit", str(good_manifest), "--name", "over")
    darkroom("cancel", "over")
    over = darkroom("status", "over")

    said = Beat(node_id=uuid7(), name="studio-1:7", version="0", round_age_s=0.0, clock_offset_s=0.0)
    with Database(database_url, connections=1).transaction() as tx:
        nodes.beat(tx, said)
    served = darkroom("submit", str(good_manifest), "--json")

    assert "No worker node" not in over.stderr
    assert (json.loads(served.stdout)["nodes"], served.stderr) == (
        1,
        "1 image: 4 sandbox credits, which cost nothing.\n",
    )


@pytest.mark.parametrize(("command", "what"), [(("results",), "results"), (("download", "--to", "out"), "images")])
def test_who_takes_results_or_images_out_is_in_the_log_of_changes(
    command: tuple[str, ...], what: str, darkroom: Darkroom, good_manifest: Path, database: Database
) -> None:
    batch = json.loads(darkroom("submit", str(good_manifest), "--json").stdout)["batch"]

    done = darkroom(command[0], batch, *command[1:])

    with database.transaction() as tx:
        kept = tx.execute(text("SELECT subject, after, actor FROM change WHERE field = 'exported'")).one()
    assert done.returncode == 0
    assert (kept.subject, kept.after) == (f"batch:{batch}", what)
    assert kept.actor.startswith("cli:")
