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
    unread = [lacking(*each) for each in (("explain", job), ("results", "pair"), ("audit", "verify"))]

    assert kept == 2
    assert all("pip install 'darkroom[archive]'" in each for each in (refused, *unread))
