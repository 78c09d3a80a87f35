"""`darkroom hook`, and what `doctor` says of hooks."""

import json
import threading
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from tests.acceptance.waiting import until
from tests.cli.conftest import Darkroom, run_here
from tests.hooks.desk import Desk


@pytest.fixture
def darkroom(tmp_path: Path, database_url: str) -> Darkroom:
    return lambda *arguments: run_here(tmp_path, {"DARKROOM_DATABASE_URL": database_url}, *arguments)


def answer(darkroom: Darkroom, *arguments: str) -> dict[str, object]:
    done = darkroom(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def finding(darkroom: Darkroom) -> dict[str, str]:
    examined = json.loads(darkroom("doctor", "--json").stdout)
    found: dict[str, str] = next(each for each in examined["findings"] if each["part"] == "hooks")
    return found


def test_a_hook_is_added_listed_rotated_and_removed(darkroom: Darkroom, desk: Desk) -> None:
    made = answer(darkroom, "hook", "add", "https://shop.example/h", "--event", "batch.done", "--event", "budget.80")
    rotated = answer(darkroom, "hook", "rotate", str(made["hook"]))
    (listed,) = json.loads(darkroom("hook", "list", "--json").stdout)
    removed = answer(darkroom, "hook", "remove", str(made["hook"]))

    assert str(made["secret"]).startswith("whsec_")
    assert made["secret"] != rotated["secret"]
    assert (listed["events"], listed["state"]) == (["batch.done", "budget.80"], "ok")
    assert removed["dropped"] == 0
    assert json.loads(darkroom("hook", "list", "--json").stdout) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("hook", "add", "https://shop.example", "--event", "batch.finished"), "is not such an event"),
        (("hook", "add", "ftp://shop.example", "--event", "batch.done"), "must begin with https://"),
        (("hook", "rotate", "nonsense"), "there is no hook nonsense"),
        (("hook", "replay"), "give either a delivery"),
        (("hook", "replay", "nonsense"), "is no delivery"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(
    darkroom: Darkroom, desk: Desk, arguments: tuple[str, ...], said: str
) -> None:
    done = darkroom(*arguments)

    assert done.returncode in {1, 2}
    assert said in done.stderr.replace("\n", " ")


def test_a_test_event_is_sent_by_a_node_and_its_outcome_shown(
    darkroom: Darkroom, desk: Desk, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/hook").respond_with_data("", status=202)
    made = desk.add(httpserver.url_for("/hook"))
    found: list[dict[str, object]] = []
    asking = threading.Thread(
        target=lambda: found.append(answer(darkroom, "hook", "test", str(made.hook_id), "--by", "mia"))
    )

    asking.start()
    until(desk.deliveries, "the test event is written")
    desk.clock.now = desk.deliveries()[0]["due_at"]
    desk.send()
    asking.join()

    body = json.loads(httpserver.log[0][0].data)
    assert (found[0]["state"], found[0]["status"]) == ("delivered", 202)
    assert (body["type"], body["data"]) == ("hook.test", {"hook": str(made.hook_id), "by": "mia"})


def test_a_test_without_a_node_says_that_none_has_sent_it(darkroom: Darkroom, desk: Desk) -> None:
    made = desk.add("https://shop.example/hook")

    done = darkroom("hook", "test", str(made.hook_id), "--wait", "0")

    assert done.returncode == 1
    assert "no node has sent it" in done.stderr


def test_dead_letters_are_listed_with_the_answer_and_replayed(
    darkroom: Darkroom, told: Desk, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/hook").respond_with_data("moved out", status=410)
    told.send()
    (dead,) = json.loads(darkroom("hook", "deliveries", "--failed", "--json").stdout)
    told.node.query("UPDATE hook SET disabled_at = NULL RETURNING id")

    replayed = answer(darkroom, "hook", "replay", str(dead["delivery"]))

    assert (dead["state"], dead["status"], dead["response"]) == ("failed", 410, "moved out")
    assert replayed == {"replayed": 1}
    assert json.loads(darkroom("hook", "deliveries", "--failed", "--json").stdout) == []
    assert "account.paused" in darkroom("hook", "deliveries").stdout


def test_the_doctor_fails_for_a_disabled_hook(darkroom: Darkroom, told: Desk, httpserver: HTTPServer) -> None:
    before = finding(darkroom)
    httpserver.expect_request("/hook").respond_with_data("", status=410)
    told.send()

    after = finding(darkroom)

    assert (before["verdict"], after["verdict"]) == ("ok", "failed")
    assert "1 hook disabled" in after["detail"]
    assert "410 Gone" in after["detail"]


def test_the_doctor_names_the_command_that_no_node_knows(darkroom: Darkroom, desk: Desk) -> None:
    desk.add("publish")
    desk.happen()
    desk.send()

    found = finding(darkroom)

    assert (found["verdict"], "command publish: no command was run" in found["detail"]) == ("warning", True)
    assert "DARKROOM_HOOK_COMMANDS" in found["next_step"]
