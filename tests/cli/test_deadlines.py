"""A deadline is set when a batch is submitted or later, shown by its status, and kept with who changed it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.cli.conftest import Darkroom, status
from worker.batches import deadlines
from worker.core.db.session import Database

HOUR = timedelta(hours=1)


def submit(darkroom: Darkroom, manifest: Path, *options: str) -> str:
    done = darkroom("submit", str(manifest), "--token", "spring", "--json", *options)
    return str(json.loads(done.stdout)["batch"])


def pass_deadlines(database: Database) -> None:
    """End what is past its deadline an hour from now."""
    with database.transaction() as tx:
        (account_id,) = tx.execute(text("SELECT id FROM account")).scalars()
    deadlines.end_passed(database, account_id, now=datetime.now(UTC) + HOUR)


def test_a_batch_is_submitted_with_a_deadline_that_its_status_shows(darkroom: Darkroom, good_manifest: Path) -> None:
    batch = submit(darkroom, good_manifest, "--deadline", "6h")

    shown = status(darkroom, batch)
    span = datetime.fromisoformat(shown["deadline"]) - datetime.fromisoformat(shown["created_at"])
    assert span == timedelta(hours=6)
    assert f"{shown['deadline'][:10]} {shown['deadline'][11:19]} UTC" in darkroom("status", batch).stdout


def test_a_batch_without_a_deadline_says_so(darkroom: Darkroom, good_manifest: Path) -> None:
    assert status(darkroom, submit(darkroom, good_manifest))["deadline"] is None


def test_the_same_submission_again_is_the_same_batch_with_its_first_deadline(
    darkroom: Darkroom, good_manifest: Path
) -> None:
    batch = submit(darkroom, good_manifest, "--deadline", "6h")
    before = status(darkroom, batch)["deadline"]

    again = submit(darkroom, good_manifest, "--deadline", "6h")

    assert again == batch
    assert status(darkroom, batch)["deadline"] == before


def test_a_deadline_is_changed_and_lifted_with_a_name_and_a_reason(
    darkroom: Darkroom, good_manifest: Path, database: Database
) -> None:
    batch = submit(darkroom, good_manifest)

    darkroom("deadline", batch, "2099-11-30T18:00:00Z", "--by", "ann", "--reason", "the sale")
    done = darkroom("deadline", batch, "none", "--by", "tom", "--json")

    with database.transaction() as tx:
        kept = [tuple(row) for row in tx.execute(text("SELECT before, after, actor, reason FROM change ORDER BY id"))]
    assert json.loads(done.stdout) == {"batch": batch, "before": "2099-11-30T18:00:00+00:00", "after": None}
    assert kept == [
        (None, "2099-11-30 18:00:00+00:00", "ann", "the sale"),
        ("2099-11-30 18:00:00+00:00", None, "tom", None),
    ]


def test_what_its_deadline_ended_says_so_in_the_results(
    darkroom: Darkroom, good_manifest: Path, database: Database
) -> None:
    batch = submit(darkroom, good_manifest, "--deadline", "30m")

    pass_deadlines(database)

    (line,) = [json.loads(each) for each in darkroom("results", batch).stdout.splitlines()]
    assert (line["state"], line["error"]["code"]) == ("failed", "deadline_passed")
    assert status(darkroom, batch)["state"] == "done"


def test_asking_again_under_a_passed_deadline_is_refused_with_the_next_step(
    darkroom: Darkroom, good_manifest: Path, database: Database
) -> None:
    batch = submit(darkroom, good_manifest, "--deadline", "30m")
    pass_deadlines(database)
    with database.transaction() as tx:
        tx.execute(text("UPDATE batch SET deadline_at = now()"))

    refused = darkroom("retry", batch, "--failed")
    done = darkroom("retry", batch, "--failed", "--deadline", "2h", "--json")

    assert refused.returncode == 1
    assert f"`darkroom retry {batch} --deadline 6h` sets a new one" in refused.stderr
    assert json.loads(done.stdout) == {"batch": batch, "jobs": 1, "credits": 4, "recalled": 0, "left_out": 0}
    assert datetime.fromisoformat(status(darkroom, batch)["deadline"]) > datetime.now(UTC) + HOUR


@pytest.mark.parametrize("when", ["soon", "0h", "6", "2026-11-30", "2026-01-01T00:00:00Z"])
def test_a_deadline_that_is_none_ends_with_2(when: str, darkroom: Darkroom, good_manifest: Path) -> None:
    batch = submit(darkroom, good_manifest)

    done = darkroom("deadline", batch, when)

    assert done.returncode == 2
    assert done.stderr.startswith("darkroom: the deadline ")


@pytest.mark.parametrize("when", ["soon", "6", "2026-11-30T18:00:00"])
def test_a_submission_with_a_deadline_that_is_none_ends_with_2(
    when: str, darkroom: Darkroom, good_manifest: Path
) -> None:
    done = darkroom("submit", str(good_manifest), "--deadline", when)

    assert done.returncode == 2
    assert "--deadline" in done.stderr
