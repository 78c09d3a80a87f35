"""What is paid and not downloaded yet is counted, and after ten minutes an alarm, once for each image."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.acceptance.waiting import until
from tests.cli.conftest import ROOT
from tests.fixtures.provider import Provider
from tests.pipeline.conftest import Screen
from tests.pipeline.node import START, Node
from worker.engine.rules.give_up import ALARM_AFTER, is_alarm, next_try

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
def asked(screen: Screen) -> Asked:
    """Ask a command for its JSON."""
    return lambda *words: json.loads(screen(*words, "--json"))


def test_paid_images_that_are_not_in_the_store_are_counted_with_the_age_of_the_oldest(paid: Node, asked: Asked) -> None:
    shown = asked("status", "t")

    since = paid.query("SELECT min(since) AS since FROM step")[0]["since"]
    assert shown["jobs"]["active"] == 2
    assert shown["credits"]["spent"] == 8
    assert shown["not_downloaded"]["count"] == 2
    assert shown["not_downloaded"]["since"] == since.isoformat()


def test_the_status_says_why_paid_images_are_not_downloaded_and_what_to_do(
    paid: Node, asked: Asked, screen: Screen
) -> None:
    due = paid.query("SELECT min(due_at) AS at FROM step")[0]["at"]

    shown, said = asked("status", "t")["not_downloaded"], screen("status", "t")

    assert (shown["failing"], shown["next_try"]) == (2, due.isoformat())
    assert "503" in shown["error"]
    assert f"2 downloads failed, last with: {shown['error']}; next try {due:%Y-%m-%d %H:%M:%S} UTC" in said
    assert f"what to do      {shown['next_step']}" in said
    assert "waits for" not in said


def test_who_follows_a_batch_reads_why_its_images_are_late_also_while_the_account_is_paused(
    paid: Node, database_url: str, tmp_path: Path
) -> None:
    paid.query("UPDATE account SET pause_reason = 'operator', paused_at = now() RETURNING 1")
    log, environment = tmp_path / "watch.log", {"PATH": os.environ["PATH"], "DARKROOM_DATABASE_URL": database_url}

    with log.open("wb") as stream:
        watch = subprocess.Popen(
            [sys.executable, "-m", "worker.cli", "watch", "t"], env=environment, cwd=ROOT, stderr=stream
        )
        try:
            until(lambda: "; 2 downloads failed, last with: " in log.read_text(), "it says why")
        finally:
            watch.kill()
            watch.wait()

    assert "account paused: operator; 2 downloads failed" in log.read_text()


def test_an_image_that_was_downloaded_counts_no_more(paid: Node, sandbox: Provider, asked: Asked) -> None:
    sandbox.set(faults={"download": {"http_503": 0.0}})

    paid.run_until_quiet()

    assert asked("status", "t")["not_downloaded"] == {
        "count": 0,
        "since": None,
        "failing": 0,
        "error": None,
        "next_try": None,
        "next_step": None,
    }


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


def test_an_image_that_could_not_be_requested_until_it_was_late_is_an_alarm_too(paid: Node) -> None:
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
