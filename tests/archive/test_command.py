"""`darkroom archive` as a person runs it, and what other commands say of an archived batch."""

import json
from pathlib import Path

from tests.archive.conftest import archive, broken, counts
from tests.cli.conftest import run, run_here
from tests.pipeline.node import Node


def test_the_command_archives_and_the_others_read_the_archive(small: Node, tmp_path: Path) -> None:
    key = small.query("SELECT idempotency_key AS key FROM generation ORDER BY id LIMIT 1")[0]["key"]
    environment = {
        "DARKROOM_DATABASE_URL": small.services.database.url.render_as_string(hide_password=False),
        "DARKROOM_STORE": str(small.folder),
    }

    def darkroom(*arguments: str, status: int = 0) -> str:
        found = run_here(tmp_path, environment, *arguments)
        assert found.returncode == status, found.stderr
        return found.stdout if status == 0 else found.stderr

    before = darkroom("results", "pair")
    assert "say --before DAY" in darkroom("archive", status=2)
    preview = darkroom("archive", "--before", "2100-01-01", "--dry-run")
    assert "1 batch with 2 jobs would be archived" in preview
    assert counts(small)["job"] == 2

    done = json.loads(darkroom("archive", "--before", "2100-01-01", "--json"))

    assert (len(done["archived"]), done["jobs"], done["kept"]) == (1, 2, {})
    assert counts(small)["job"] == 0
    [listed] = json.loads(darkroom("archive", "--list", "--json"))["batches"]
    assert (listed["name"], listed["jobs"], listed["spent"]) == ("pair", {"succeeded": 2}, 8)
    assert darkroom("results", "pair") == before
    assert "archived on" in darkroom("status", "pair")
    assert key in darkroom("audit", "job", key)
    assert "ok" in darkroom("audit", "verify")
    assert broken(small) == {}


def test_a_job_and_then_the_rest_of_an_archived_batch_are_erased_by_command(small: Node, tmp_path: Path) -> None:
    environment = {
        "DARKROOM_DATABASE_URL": small.services.database.url.render_as_string(hide_password=False),
        "DARKROOM_STORE": str(small.folder),
    }
    archive(small)

    def erase(*arguments: str, status: int = 0) -> str:
        found = run_here(tmp_path, environment, "erase", *arguments, "--by", "ann", "--reason", "request 12")
        assert found.returncode == status, found.stderr
        return found.stdout if status == 0 else found.stderr

    counted = json.loads(erase("--batch", "pair", "--dry-run", "--json"))["would_erase"]
    unasked = erase("--batch", "pair", status=2)
    one = json.loads(erase("--batch", "pair", "--job", "a", "--yes", "--json"))
    rest = erase("--batch", "pair", "--yes")

    assert (counted["job"], counted["generation"]) == (2, 2)
    assert "nothing was erased" in unasked
    assert [each["jobs"] for each in one["erasures"]] == [1]
    assert "erased 1 job and 0 reference images" in rest
    assert "nothing was left to erase" in erase("--batch", "pair", "--yes")
    assert "has no job" in erase("--batch", "pair", "--job", "c", "--yes", status=1)
    assert broken(small) == {}


WITHOUT_PARQUET = "import sys; sys.modules['pyarrow'] = None; from worker.cli import main; main()"
"""The commands as they are where the extra is not installed."""


def test_without_the_extra_commands_say_what_is_missing_and_change_nothing(small: Node, tmp_path: Path) -> None:
    environment = {
        "DARKROOM_DATABASE_URL": small.services.database.url.render_as_string(hide_password=False),
        "DARKROOM_STORE": str(small.folder),
    }
    job = str(small.query("SELECT id FROM job WHERE key = 'a'")[0]["id"])

    def lacking(*arguments: str) -> str:
        found = run(tmp_path, environment, *arguments, program=("-c", WITHOUT_PARQUET))
        assert (found.returncode, "Traceback" in found.stderr) == (1, False), found.stderr
        return " ".join(found.stderr.split())

    refused = lacking("archive", "--before", "2100-01-01")
    kept = counts(small)["job"]
    archive(small)
    order = ("erase", "--batch", "pair", "--yes", "--by", "ann", "--reason", "request 12")
    unread = [lacking(*each) for each in (("explain", job), ("results", "pair"), ("audit", "verify"), order)]

    assert kept == 2
    assert all("pip install 'darkroom[archive]'" in each for each in (refused, *unread))
