"""Catalogs on the command line after their plans: schedules, decisions, rollbacks, exports."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Darkroom

WEEKLY = ("schedule", "add", "weekly", "--catalog", "mugs", "--cron", "0 2 * * 1", "--tz", "Europe/Paris")


@pytest.fixture
def mugs(darkroom: Darkroom, tmp_path: Path) -> Darkroom:
    """Return the command where a catalog of one item is imported, and nothing is rendered."""
    (tmp_path / "items.csv").write_text("sku,colour\na,red\n")
    (tmp_path / "recipe.toml").write_text('prompt = "A {{ colour }} mug"\nreview = "required"\n')
    done = darkroom("catalog", "import", "mugs", "items.csv", "--recipe", "recipe.toml")
    assert done.returncode == 0, done.stderr
    return darkroom


def shown(darkroom: Darkroom, *arguments: str) -> Any:
    return json.loads(darkroom(*arguments, "--json").stdout)


def test_a_schedule_is_added_with_its_next_five_fire_times(mugs: Darkroom) -> None:
    added = shown(mugs, *WEEKLY, "--cap", "2000", "--overlap", "queue", "--missed", "skip")

    fixed = {"schedule": "weekly", "catalog": "mugs", "cap": 2000, "overlap": "queue", "missed": "skip"}
    assert fixed.items() <= added.items()
    assert len(added["next"]) == 5
    assert shown(mugs, "schedule", "list")[0]["cron"] == "0 2 * * 1"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (("--tz", "Europe/Pari"), "the time zone 'Europe/Pari' is not known"),
        (("--tz", "localtime"), "the time zone 'localtime' is not known"),
        (("--tz", "right/Europe/Paris"), "is not known"),
        (("--cron", "0 25 * * *"), "Bad hour"),
        (("--cron", "weekly"), "five fields"),
    ],
)
def test_a_schedule_that_cannot_be_kept_is_refused_with_2(
    mugs: Darkroom, changes: tuple[str, ...], reason: str
) -> None:
    done = mugs(*WEEKLY, "--cap", "2000", *changes)

    assert done.returncode == 2
    assert reason in done.stderr


def test_two_schedules_cannot_have_one_name_until_the_first_is_removed(mugs: Darkroom) -> None:
    mugs(*WEEKLY, "--cap", "2000")

    again = mugs(*WEEKLY, "--cap", "2000")
    mugs("schedule", "remove", "weekly")

    assert (again.returncode, "already" in again.stderr) == (1, True)
    assert mugs(*WEEKLY, "--cap", "2000").returncode == 0


def test_a_paused_schedule_has_no_next_fire_time_until_it_is_resumed(mugs: Darkroom) -> None:
    mugs(*WEEKLY, "--cap", "2000")

    paused = shown(mugs, "schedule", "pause", "weekly")
    resumed = shown(mugs, "schedule", "resume", "weekly")

    assert (paused["next"], len(resumed["next"])) == ([], 5)
    assert paused["paused_at"] is not None


def test_a_run_that_is_asked_for_waits_for_a_node_and_is_listed(mugs: Darkroom) -> None:
    mugs(*WEEKLY, "--cap", "2000")

    asked = shown(mugs, "schedule", "run-now", "weekly", "--by", "sam")
    second = shown(mugs, "schedule", "run-now", "weekly", "--by", "sam")

    assert (asked["state"], asked["requested_by"], asked["spent"]) == ("planning", "sam", None)
    assert second["state"] == "skipped"
    assert asked["run"] in mugs("schedule", "runs", "weekly", "--json").stdout


@pytest.mark.parametrize("action", ["pause", "resume", "remove", "run-now", "runs"])
def test_a_schedule_that_is_not_there_ends_with_1_and_the_next_step(mugs: Darkroom, action: str) -> None:
    done = mugs("schedule", action, "monthly")

    assert done.returncode == 1
    assert "`darkroom schedule list`" in done.stderr


def test_a_sheet_of_nothing_says_so(mugs: Darkroom, tmp_path: Path) -> None:
    written = shown(mugs, "catalog", "sheet", "mugs")

    assert written["images"] == 0
    assert "<b>0</b> new images wait" in (tmp_path / "mugs-review.html").read_text()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "it is not JSON"),
        ("[]", "it is not a file of decisions"),
        ('{"darkroom": "decisions", "version": 2}', "only 1 can be read"),
        (
            '{"darkroom": "decisions", "version": 1, "catalog": "cups", "decisions": []}',
            "it is about the catalog 'cups'",
        ),
        ('{"darkroom": "decisions", "version": 1, "catalog": "mugs", "decisions": [{"sku": "a"}]}', "decision 1 needs"),
    ],
)
def test_a_file_that_holds_no_decisions_of_this_catalog_decides_nothing(
    mugs: Darkroom, tmp_path: Path, content: str, reason: str
) -> None:
    (tmp_path / "decisions.json").write_text(content)

    done = mugs("catalog", "decide", "mugs", "decisions.json", "--by", "rita")

    assert done.returncode == 1
    assert reason in done.stderr


def test_a_refused_decision_ends_with_1_and_its_name(mugs: Darkroom, tmp_path: Path) -> None:
    decision = {"sku": "a", "render": "01900000-0000-7000-8000-000000000000", "decision": "accept"}
    document = {"darkroom": "decisions", "version": 1, "catalog": "mugs", "decisions": [decision]}
    (tmp_path / "decisions.json").write_text(json.dumps(document))

    done = mugs("catalog", "decide", "mugs", "decisions.json", "--by", "rita")

    assert done.returncode == 1
    assert "refused: a (01900000" in done.stderr


@pytest.mark.parametrize(
    ("to", "status", "reason"),
    [
        ("yesterday", 2, "neither an image's id"),
        ("2026-01-01T00:00:00", 2, "has no time zone"),
        ("2999-01-01T00:00:00Z", 1, "is yet to come"),
        ("01900000-0000-7000-8000-000000000000", 1, "was never live"),
    ],
)
def test_a_rollback_to_nothing_changes_nothing(mugs: Darkroom, to: str, status: int, reason: str) -> None:
    done = mugs("catalog", "rollback", "mugs", "--to", to, "--by", "rita")

    assert done.returncode == status
    assert reason in done.stderr


def test_an_export_of_nothing_is_a_header(mugs: Darkroom) -> None:
    exported = mugs("catalog", "export", "mugs", "--live").stdout

    assert exported == "sku,file,url,sha256,mime_type,width,height,live_since\n"


def test_a_run_that_is_skipped_ends_with_1(mugs: Darkroom) -> None:
    mugs(*WEEKLY, "--cap", "2000")
    mugs("schedule", "run-now", "weekly", "--yes")

    again = mugs("schedule", "run-now", "weekly", "--yes")

    assert again.returncode == 1
    assert "has not ended" in again.stdout


def test_a_run_that_waits_can_be_cancelled_and_says_by_whom_and_why(mugs: Darkroom) -> None:
    mugs(*WEEKLY, "--cap", "2000")
    asked = shown(mugs, "schedule", "run-now", "weekly")

    done = shown(mugs, "schedule", "cancel", asked["run"], "--by", "ada", "--reason", "too early")
    again = mugs("schedule", "cancel", asked["run"], "--by", "ada", "--reason", "too early")

    assert (done["state"], done["outcome"]) == ("skipped", "ended by ada: too early")
    assert (again.returncode, "has already ended" in again.stderr) == (1, True)


@pytest.mark.parametrize(("run", "status"), [("weekly", 2), ("01900000-0000-7000-8000-000000000000", 1)])
def test_a_run_that_is_not_there_cannot_be_cancelled(mugs: Darkroom, run: str, status: int) -> None:
    done = mugs("schedule", "cancel", run, "--reason", "too early")

    assert (done.returncode, "darkroom schedule runs" in done.stderr) == (status, True)


def test_the_runs_of_a_removed_schedule_are_still_listed(mugs: Darkroom) -> None:
    mugs(*WEEKLY, "--cap", "2000")
    asked = shown(mugs, "schedule", "run-now", "weekly")
    mugs("schedule", "remove", "weekly", "--by", "ada")

    assert asked["run"] in mugs("schedule", "runs", "weekly").stdout


def test_a_refused_plan_says_by_whom_and_why_and_is_not_applied(mugs: Darkroom) -> None:
    plan = shown(mugs, "catalog", "plan", "mugs", "--out", "plan.json")["plan"]

    refused = mugs("catalog", "refuse", "plan.json", "--by", "ada", "--reason", "too expensive")
    applied = mugs("catalog", "apply", "plan.json")

    assert refused.stdout == "ada refuses the plan: too expensive\n"
    assert (applied.returncode, f"ada has refused plan {plan} (too expensive)" in applied.stderr) == (1, True)
    assert "refused" in mugs("catalog", "show", "mugs").stdout


HOSTILE = "weekly [/x] [red]"


def test_a_name_that_looks_like_markup_is_shown_to_the_letter(mugs: Darkroom) -> None:
    mugs("schedule", "add", HOSTILE, *WEEKLY[3:], "--cap", "9", "--by", "[/by]")
    mugs("schedule", "run-now", HOSTILE, "--yes", "--by", "[/by]")
    mugs("hook", "add", "https://shop.example/[/told]", "--event", "image.live", "--catalog", "mugs")

    assert HOSTILE in mugs("schedule", "list").stdout
    assert "by [/by]" in mugs("schedule", "runs", HOSTILE).stdout
    assert "https://shop.example/[/told]" in mugs("hook", "list").stdout
