"""Batches are held back, moved and ended by one command, one at once, or many after a look at the effect."""

import json
import os
import pty
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.cli.conftest import ROOT, TIMEOUT_S, Darkroom, status
from worker.core.db.session import Database

Submit = Callable[..., str]
STATES = "SELECT token, state FROM batch ORDER BY token"


@pytest.fixture
def submit(darkroom: Darkroom, good_manifest: Path) -> Submit:
    """Return what submits a batch of one pending job under a token, and gives its id."""

    def submitted(token: str, *options: str) -> str:
        done = darkroom("submit", str(good_manifest), "--token", token, "--json", *options)
        return str(json.loads(done.stdout)["batch"])

    return submitted


def states(database: Database) -> dict[str, str]:
    with database.transaction() as tx:
        return {row.token: row.state for row in tx.execute(text(STATES))}


@contextmanager
def terminal(folder: Path, database_url: str, *arguments: str) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """Run a command on a terminal of its own; gives the process and our end of the terminal."""
    ours, theirs = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), "TERM": "dumb"}
    process = subprocess.Popen(
        [sys.executable, "-m", "worker.cli", *arguments],
        cwd=folder,
        env={**environment, "DARKROOM_DATABASE_URL": database_url, "DARKROOM_STORE": str(folder / "store")},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        yield process, ours
    finally:
        process.kill()
        process.wait(timeout=TIMEOUT_S)
        os.close(ours)


def read_until(terminal_end: int, mark: str) -> str:
    """Read what is shown until the mark has come."""
    shown = ""
    while mark not in shown:
        ready, _, _ = select.select([terminal_end], [], [], TIMEOUT_S)
        assert ready, f"{mark!r} did not come; shown was {shown!r}"
        shown += os.read(terminal_end, 4096).decode()
    return shown


def test_a_named_batch_is_paused_at_once_and_says_how_it_goes_on(darkroom: Darkroom, submit: Submit) -> None:
    batch = submit("spring")

    done = darkroom("pause", "spring", "--by", "ann", "--reason", "the sale")

    shown = status(darkroom, batch)
    assert done.returncode == 0
    assert shown["state"] == "paused"
    assert shown["waiting_for"] == {
        "reason": "batch paused by ann: the sale",
        "next_step": f"`darkroom resume {batch}`",
    }


def test_watching_a_paused_batch_whose_begun_work_has_ended_ends_with_1_and_the_next_step(
    darkroom: Darkroom, submit: Submit
) -> None:
    batch = submit("spring")
    darkroom("pause", batch, "--by", "ann")

    watched = darkroom("watch", batch)

    assert watched.returncode == 1
    assert f"1 job will not be rendered before `darkroom resume {batch}`: batch paused by ann." in watched.stderr


def test_a_resumed_batch_waits_for_nothing(darkroom: Darkroom, submit: Submit) -> None:
    batch = submit("spring")
    darkroom("pause", batch)

    done = darkroom("resume", batch, "--json")

    assert json.loads(done.stdout).items() >= {"batch": batch, "state": "open", "pending": 1, "done": True}.items()
    assert status(darkroom, batch)["waiting_for"] is None


def test_a_cancelled_batch_is_not_resumed_and_the_next_step_is_said(darkroom: Darkroom, submit: Submit) -> None:
    batch = submit("spring")
    darkroom("cancel", batch)

    done = darkroom("resume", batch)

    assert done.returncode == 1
    assert f"is cancelled and cannot be resumed: `darkroom retry {batch}`" in done.stderr


def test_a_batch_gets_another_class_and_weight(darkroom: Darkroom, submit: Submit) -> None:
    batch = submit("spring")

    done = darkroom("reprioritise", batch, "--to", "interactive", "--weight", "3", "--json")

    assert json.loads(done.stdout).items() >= {"priority": "interactive", "weight": 3}.items()
    assert status(darkroom, batch)["priority"] == "interactive"


def test_a_filter_cancels_what_it_means_and_nothing_else(
    darkroom: Darkroom, submit: Submit, database: Database
) -> None:
    submit("a", "--owner", "mia")
    submit("b", "--owner", "mia", "--priority", "interactive")
    submit("c", "--owner", "tom")

    done = darkroom("cancel", "--owner", "mia", "--priority", "bulk", "--yes")

    assert done.returncode == 0
    assert "1 job cancelled, 0 credits released." in done.stdout
    assert states(database) == {"a": "cancelled", "b": "open", "c": "open"}


def test_a_dry_run_shows_the_effect_in_jobs_and_credits_and_changes_nothing(
    darkroom: Darkroom, submit: Submit, database: Database
) -> None:
    batch = submit("a", "--owner", "mia")

    done = darkroom("cancel", "--owner", "mia", "--dry-run", "--json")

    found = json.loads(done.stdout)
    credits_ = {"pending": 4, "unsent": 0, "at_provider": 0, "failed": 0}
    assert (found["action"], found["done"]) == ("cancel", False)
    assert found["batches"][0].items() >= {"batch": batch, "pending": 1, "begun": 0, "credits": credits_}.items()
    assert states(database) == {"a": "open"}


def test_without_a_terminal_and_without_yes_the_effect_is_shown_and_nothing_is_changed(
    darkroom: Darkroom, submit: Submit, database: Database
) -> None:
    batch = submit("a", "--owner", "mia")

    done = darkroom("pause", "--owner", "mia")

    assert done.returncode == 2
    assert batch[:13] in done.stdout
    assert "add --yes" in done.stderr
    assert states(database) == {"a": "open"}


def test_a_batch_that_is_submitted_between_the_look_and_the_yes_is_not_touched(
    darkroom: Darkroom, submit: Submit, database: Database, database_url: str, tmp_path: Path
) -> None:
    submit("before", "--owner", "mia")

    with terminal(tmp_path, database_url, "cancel", "--owner", "mia") as (process, end):
        read_until(end, "Cancel 1 batch?")
        submit("after", "--owner", "mia")
        os.write(end, b"y\n")
        read_until(end, "1 job cancelled")
        process.wait(timeout=TIMEOUT_S)

    assert states(database) == {"after": "open", "before": "cancelled"}


def test_a_batch_that_was_paused_between_the_preview_and_the_yes_is_left_alone_and_named(
    darkroom: Darkroom, submit: Submit, database: Database, database_url: str, tmp_path: Path
) -> None:
    batch = submit("spring", "--owner", "mia")

    with terminal(tmp_path, database_url, "cancel", "--owner", "mia") as (process, end):
        read_until(end, "Cancel 1 batch?")
        darkroom("pause", batch)
        os.write(end, b"y\n")
        read_until(end, f"left alone: batch {batch} is paused meanwhile")
        ended = process.wait(timeout=TIMEOUT_S)

    assert ended == 1
    assert states(database) == {"spring": "paused"}


def test_a_no_changes_nothing(submit: Submit, database: Database, database_url: str, tmp_path: Path) -> None:
    submit("spring", "--owner", "mia")

    with terminal(tmp_path, database_url, "cancel", "--owner", "mia") as (process, end):
        read_until(end, "Cancel 1 batch?")
        os.write(end, b"n\n")
        read_until(end, "nothing was changed")
        ended = process.wait(timeout=TIMEOUT_S)

    assert ended == 1
    assert states(database) == {"spring": "open"}


def test_a_filter_by_the_time_of_submission_leaves_out_what_came_later(
    darkroom: Darkroom, submit: Submit, database: Database
) -> None:
    submit("spring")

    early = darkroom("pause", "--before", "2026-01-01", "--yes")
    darkroom("pause", "--since", "2026-01-01T00:00:00Z", "--yes")

    assert early.returncode == 1
    assert "no matching active batches" in early.stderr
    assert states(database) == {"spring": "paused"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("pause",),
        ("pause", "spring", "--owner", "mia"),
        ("cancel", "--since", "yesterday"),
        ("cancel", "--before", "2026-11-30T18:00:00"),
        ("reprioritise", "spring"),
        ("reprioritise", "spring", "--to", "soon"),
        ("reprioritise", "spring", "--weight", "0"),
    ],
)
def test_what_is_not_said_clearly_ends_with_2(arguments: tuple[str, ...], darkroom: Darkroom, submit: Submit) -> None:
    submit("spring")

    assert darkroom(*arguments).returncode == 2
