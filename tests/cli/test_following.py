"""Lines are printed as their jobs end, each end once, whatever the order of the commits."""

import json
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Connection, text

from tests.cli.conftest import ROOT, Darkroom
from tests.pipeline.node import START
from worker.batches.queries.completion_feed import OVERLAP, Ends
from worker.core.db.session import Database

SECOND = timedelta(seconds=1)


@pytest.fixture
def batch(darkroom: Darkroom, manifest: Path) -> str:
    """Return the id of a batch of two pending jobs and one refused line."""
    done = darkroom("submit", str(manifest), "--skip-invalid", "--token", "spring", "--json")
    return str(json.loads(done.stdout)["batch"])


def end(tx: Connection, key: str, *, after: timedelta, state: str = "cancelled") -> None:
    """Let the job have ended so long after the start."""
    tx.execute(
        text("UPDATE job SET state = :state, ended_at = :at WHERE key = :key"),
        {"state": state, "at": START + after, "key": key},
    )


def keys(ends: Ends) -> list[str]:
    return [found.key for found in ends.new()]


def test_each_end_is_given_once(database: Database, batch: str) -> None:
    ends = Ends(database, UUID(batch))
    with database.transaction() as tx:
        end(tx, "blue", after=SECOND)

    first = keys(ends)
    with database.transaction() as tx:
        end(tx, "red", after=SECOND)

    assert (first, keys(ends), keys(ends)) == (["blue"], ["red"], [])


def test_an_end_whose_commit_was_overtaken_is_given(database: Database, batch: str) -> None:
    ends = Ends(database, UUID(batch))
    with database.transaction() as slow:
        end(slow, "red", after=SECOND)
        with database.transaction() as quick:
            end(quick, "blue", after=OVERLAP)
        overtaking = keys(ends)

    assert (overtaking, keys(ends)) == (["blue"], ["red"])


def test_only_the_ends_of_the_last_two_minutes_are_looked_at_again(database: Database, batch: str) -> None:
    ends = Ends(database, UUID(batch))
    with database.transaction() as tx:
        end(tx, "blue", after=OVERLAP + 2 * SECOND)
    keys(ends)

    with database.transaction() as tx:
        end(tx, "red", after=SECOND)

    assert keys(ends) == []


def set_clock(monkeypatch: pytest.MonkeyPatch, ends: Ends, after: timedelta) -> None:
    """Let the database's clock say so long after the start."""
    monkeypatch.setattr(ends, "_now", lambda: START + after)


def test_an_end_that_is_dated_an_hour_before_the_last_one_is_given_where_the_databases_clock_went_back(
    database: Database, batch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = Ends(database, UUID(batch))
    hour = timedelta(hours=1)
    with database.transaction() as tx:
        end(tx, "blue", after=hour)
    set_clock(monkeypatch, ends, hour + SECOND)
    first = keys(ends)

    set_clock(monkeypatch, ends, SECOND)
    between = keys(ends)
    with database.transaction() as tx:
        end(tx, "red", after=2 * SECOND)
    set_clock(monkeypatch, ends, 3 * SECOND)

    assert (first, between, keys(ends), keys(ends)) == (["blue"], [], ["red"], [])


def test_the_last_look_gives_what_a_clock_that_went_back_between_two_looks_had_hidden(
    database: Database, batch: str
) -> None:
    ends = Ends(database, UUID(batch))
    with database.transaction() as tx:
        end(tx, "blue", after=timedelta(hours=1))
    first = keys(ends)
    with database.transaction() as tx:
        end(tx, "red", after=SECOND)

    hidden, last = keys(ends), [found.key for found in ends.new(is_last=True)]

    assert (first, hidden, last, keys(ends)) == (["blue"], [], ["red"], [])


def test_a_job_that_is_retried_is_returned_when_it_ends_again(database: Database, batch: str) -> None:
    ends = Ends(database, UUID(batch))
    with database.transaction() as tx:
        end(tx, "red", after=SECOND, state="failed")
    first = keys(ends)
    with database.transaction() as tx:
        tx.execute(text("UPDATE job SET state = 'pending', ended_at = NULL WHERE key = 'red'"))
    meanwhile = keys(ends)
    with database.transaction() as tx:
        end(tx, "red", after=2 * SECOND)

    assert (first, meanwhile, keys(ends)) == (["red"], [], ["red"])


def test_refused_lines_come_first_and_then_the_jobs_as_they_ended(
    darkroom: Darkroom, database: Database, batch: str
) -> None:
    with database.transaction() as tx:
        end(tx, "blue", after=SECOND)
        end(tx, "red", after=2 * SECOND)

    followed = darkroom("results", batch, "--follow")

    assert [json.loads(line)["key"] for line in followed.stdout.splitlines()] == ["huge", "blue", "red"]
    assert followed.returncode == 1


def test_the_file_has_every_line_in_input_order(
    darkroom: Darkroom, database: Database, batch: str, tmp_path: Path
) -> None:
    with database.transaction() as tx:
        end(tx, "blue", after=SECOND)
        end(tx, "red", after=2 * SECOND)

    darkroom("results", batch, "--follow", "-o", "out.jsonl")

    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["key"] for line in lines] == ["red", "huge", "blue"]


def test_a_batch_that_waits_in_vain_is_not_followed_for_ever(darkroom: Darkroom, good_manifest: Path) -> None:
    darkroom("submit", str(good_manifest), "--credit-cap", "3", "--token", "poor")

    followed = darkroom("results", "poor", "--follow")

    assert (followed.returncode, followed.stdout) == (1, "")
    assert "1 job will not be rendered: credit cap reached." in followed.stderr


def test_ctrl_c_ends_only_the_printing(database_url: str, batch: str, tmp_path: Path) -> None:
    settings = {"DARKROOM_DATABASE_URL": database_url, "DARKROOM_STORE": str(tmp_path / "store")}
    command = [sys.executable, "-m", "worker.cli", "results", batch, "--follow"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), **settings}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())

        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)

    assert first["key"] == "huge"
    assert process.returncode == 130
    assert f"The batch continues: `darkroom results {batch} --follow` prints it again." in said
