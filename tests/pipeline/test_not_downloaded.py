"""What is paid and not downloaded yet is counted, and after ten minutes an alarm, once for each image."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.cli.conftest import run_here
from tests.fixtures.provider import Provider
from tests.pipeline.node import START, Node
from worker.engine.rules.not_downloaded import ALARM_AFTER, is_alarm, next_try

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
Asked = Callable[..., Any]


@pytest.fixture
def paid(node: Node, sandbox: Provider) -> Node:
    """Return a node with two paid images whose host does not answer."""
    sandbox.set(faults={"download": {"http_503": 1.0}})
    node.submit({"key": "a", "prompt": "A chair"}, {"key": "b", "prompt": "A table"}, token="t")
    node.run_for(5 * SECOND)
    return node


@pytest.fixture
def asked(node: Node, database_url: str, tmp_path: Path) -> Asked:
    """Ask a command for its JSON."""
    settings = {"DARKROOM_DATABASE_URL": database_url, "DARKROOM_STORE": str(node.folder)}
    return lambda *words: json.loads(run_here(tmp_path, settings, *words, "--json").stdout)


def test_paid_images_that_are_not_in_the_store_are_counted_with_the_age_of_the_oldest(paid: Node, asked: Asked) -> None:
    shown = asked("status", "t")

    since = paid.query("SELECT min(since) AS since FROM step")[0]["since"]
    assert shown["jobs"]["active"] == 2
    assert shown["credits"]["spent"] == 8
    assert shown["not_downloaded"] == {"count": 2, "since": since.isoformat()}


def test_an_image_that_came_home_counts_no_more(paid: Node, sandbox: Provider, asked: Asked) -> None:
    sandbox.set(faults={"download": {"http_503": 0.0}})

    paid.run_until_quiet()

    assert asked("status", "t")["not_downloaded"] == {"count": 0, "since": None}


def test_each_image_is_an_alarm_once_as_soon_as_it_is_ten_minutes_late(paid: Node) -> None:
    with capture_logs() as before:
        paid.run_for(ALARM_AFTER - MINUTE)
    with capture_logs() as then:
        paid.run_for(2 * MINUTE)
    with capture_logs() as after:
        paid.run_for(timedelta(hours=2))

    assert _alarms(before) == []
    assert sorted(_alarms(then)) == ["a", "b"]
    assert _alarms(after) == []


def test_an_image_that_nobody_could_ask_for_until_it_was_late_is_an_alarm_too(paid: Node) -> None:
    paid.clock.advance(timedelta(hours=3))

    with capture_logs() as logs:
        paid.run_for(5 * SECOND)

    assert sorted(_alarms(logs)) == ["a", "b"]


@pytest.mark.parametrize(
    ("age", "verdict"),
    [(timedelta(minutes=9), "ok"), (timedelta(minutes=11), "warning"), (timedelta(minutes=61), "failed")],
)
def test_the_doctor_judges_by_the_age_of_the_oldest(paid: Node, asked: Asked, age: timedelta, verdict: str) -> None:
    paid.query("UPDATE step SET since = now() - CAST(:age AS interval) RETURNING 1", age=age)

    found = {each["part"]: each for each in asked("doctor")["findings"]}

    assert found["images"]["verdict"] == verdict
    assert found["images"]["detail"].startswith("2 paid and not downloaded yet, the oldest since ")


@pytest.mark.parametrize(
    ("waited", "wait", "after"),
    [(MINUTE, MINUTE, 2 * MINUTE), (8 * MINUTE, 5 * MINUTE, ALARM_AFTER), (ALARM_AFTER, MINUTE, 11 * MINUTE)],
)
def test_a_try_falls_on_the_instant_of_the_alarm(waited: timedelta, wait: timedelta, after: timedelta) -> None:
    assert next_try(since=START, now=START + waited, wait=wait) == START + after


@pytest.mark.parametrize(
    ("due", "now", "alarm"),
    [
        (ALARM_AFTER, ALARM_AFTER, True),
        (timedelta(0), timedelta(hours=1), True),
        (timedelta(0), 9 * MINUTE, False),
        (11 * MINUTE, 12 * MINUTE, False),
    ],
)
def test_only_the_first_try_that_is_late_is_an_alarm(
    due: timedelta,
    now: timedelta,
    alarm: bool,  # noqa: FBT001
) -> None:
    assert is_alarm(since=START, due_at=START + due, now=START + now) is alarm


def _alarms(logs: list[Any]) -> list[str]:
    return [str(each["key"]) for each in logs if each["event"] == "result.long_not_downloaded"]
