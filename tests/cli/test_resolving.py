"""What is in doubt is listed with its evidence, and resolved with the commands that the list gives."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Darkroom
from tests.cli.doubts import node_of

SIGNED = ("--by", "ann", "--reason", "the wallet shows it")


@pytest.fixture
def doubt(darkroom: Darkroom, database_url: str, tmp_path: Path) -> dict[str, Any]:
    """Return the only generation in doubt as `audit in-doubt --json` shows it."""
    with node_of(database_url, tmp_path) as node:
        node.submit({"prompt": "A chair", "key": "red"}, name="chairs", owner="mia")
        node.round()
    found: list[dict[str, Any]] = json.loads(darkroom("audit", "in-doubt", "--json").stdout)
    return found[0]


def test_the_list_has_every_piece_of_evidence(doubt: dict[str, Any]) -> None:
    fixed = {"key": "red", "batch_name": "chairs", "owner": "mia", "sends": 1, "answers": 0, "provider_id": None}
    words = {"code": "idempotency_conflict", "message": "the key is taken", "request_id": "req_7"}
    assert (fixed | words | {"open": 4, "open_in": "held"}).items() <= doubt.items()
    assert doubt["idempotency_key"] == f"darkroom-{doubt['generation_id']}"
    assert len(doubt["body_sha256"]) == 64
    assert doubt["first_sent_at"] == doubt["last_sent_at"]
    assert [(call["kind"], call["outcome"], call["http_status"]) for call in doubt["calls"]] == [
        ("create", "conflict", 409)
    ]


def test_the_list_says_what_was_asked_for_and_what_the_outside_says(doubt: dict[str, Any], darkroom: Darkroom) -> None:
    said = {"prompt": "A chair", "model": "qwen-image", "client_request_id": doubt["generation_id"]}
    assert said.items() <= doubt.items()
    assert (doubt["wallet"], doubt["last_said"]) == ([], None)
    assert "not read around that time" in darkroom("audit", "in-doubt").stdout


def test_the_status_of_a_batch_with_a_doubt_names_the_next_step(doubt: dict[str, Any], darkroom: Darkroom) -> None:
    assert "1 job: `darkroom audit in-doubt` shows the evidence" in darkroom("status", doubt["batch_id"]).stdout


def test_the_commands_of_the_list_can_be_run(doubt: dict[str, Any], darkroom: Darkroom) -> None:
    command = shlex.split(doubt["resolve"][1].replace("NAME", "ann").replace("TEXT", "seen"))

    done = darkroom(*command[1:], "--json")

    assert command[3:5] == ["--charged", "4"]
    assert json.loads(done.stdout)["entries"] == [
        {"kind": "correct", "source": "held", "target": "spent", "credits": 4}
    ]
    assert darkroom("audit", "verify").returncode == 0


def test_the_list_for_people_names_the_generation_and_its_ways_out(doubt: dict[str, Any], darkroom: Darkroom) -> None:
    listed = darkroom("audit", "in-doubt").stdout

    assert f"darkroom resolve {doubt['generation_id']} --not-charged --by NAME --reason TEXT" in listed
    assert doubt["body_sha256"] in listed
    assert "1 generation in doubt, 4 credits held or reserved." in listed


def test_a_resolved_generation_is_listed_no_more(doubt: dict[str, Any], darkroom: Darkroom) -> None:
    done = darkroom("resolve", doubt["generation_id"][:20], "--not-charged", *SIGNED)

    assert "correct: 4 credits from held to cap" in done.stdout
    assert darkroom("audit", "in-doubt").stdout == "Nothing is in doubt.\n"


def test_a_second_decision_ends_with_1_and_says_how_it_stands(doubt: dict[str, Any], darkroom: Darkroom) -> None:
    darkroom("resolve", doubt["generation_id"], "--not-charged", *SIGNED)

    again = darkroom("resolve", doubt["generation_id"], "--charged", "4", *SIGNED)

    assert again.returncode == 1
    assert "is void, not in doubt" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--not-charged",), "a correction needs both: --by NAME and --reason TEXT"),
        (("--not-charged", "--by", "ann"), "a correction needs both"),
        (("--not-charged", "--by", "ann", "--reason", " "), "a correction needs both"),
        (SIGNED, "choose one: --adopt TASK_ID, --charged N or --not-charged"),
        (("--not-charged", "--charged", "4", *SIGNED), "choose one"),
        (("--charged", "0", *SIGNED), "Invalid value"),
        (("--adopt", "task_1", *SIGNED), "RIVYA_API_KEY is not set"),
        (("--charged", "400", *SIGNED), "400 credits are more than the 4 that were held or reserved"),
    ],
)
def test_a_decision_that_is_not_whole_ends_with_2(
    arguments: tuple[str, ...], said: str, doubt: dict[str, Any], darkroom: Darkroom
) -> None:
    done = darkroom("resolve", doubt["generation_id"], *arguments)

    assert done.returncode == 2
    assert said in done.stderr


def test_a_decision_that_was_wrong_is_put_right_by_another_entry(doubt: dict[str, Any], darkroom: Darkroom) -> None:
    generation = doubt["generation_id"]
    darkroom("resolve", generation, "--charged", "400", "--over", *SIGNED)

    done = darkroom("correct", generation, "--spent", "4", "--by", "bob", "--reason", "400 was a slip")

    assert "(failed), job red: 400 spent before, 4 now" in done.stdout
    assert "correct: 396 credits from spent to cap" in done.stdout
    assert darkroom("audit", "verify").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--spent", "4", *SIGNED), 1, "is in_doubt: `darkroom resolve` decides about it"),
        (("--spent", "4"), 2, "a correction needs both: --by NAME and --reason TEXT"),
        (("--spent", "-1", *SIGNED), 2, "Invalid value"),
    ],
)
def test_only_what_has_ended_is_corrected_and_only_by_name(
    arguments: tuple[str, ...], status: int, said: str, doubt: dict[str, Any], darkroom: Darkroom
) -> None:
    done = darkroom("correct", doubt["generation_id"], *arguments)

    assert done.returncode == status
    assert said in done.stderr


def test_a_generation_that_is_not_there_ends_with_1_and_the_next_step(darkroom: Darkroom) -> None:
    done = darkroom("resolve", "01a20310", "--not-charged", *SIGNED)

    assert done.returncode == 1
    assert "`darkroom audit in-doubt` lists them" in done.stderr
