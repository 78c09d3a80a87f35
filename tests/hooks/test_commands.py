"""Hooks that run a command of the node's own settings, and what neither a row nor a setting can do."""

import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.hooks.desk import Desk
from worker.core.rules.events import EventType
from worker.core.rules.setting_values import HookPolicy
from worker.hooks import subscriptions
from worker.hooks.calls import NotTaken, command
from worker.hooks.rules.hook import BadHook
from worker.settings import SettingsFaulty, load


def test_a_command_gets_the_event_on_its_standard_input_and_little_of_the_environment(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "hook.py"
    script.write_text(
        "import json, os, sys\n"
        f"kept = open({str(tmp_path / 'got')!r}, 'w')\n"
        "event = json.load(sys.stdin)\n"
        "known = sorted(set(os.environ) - {'LC_CTYPE', 'LC_ALL', 'LANG', 'TZ'})\n"
        "json.dump([event['type'], event['id'] == os.environ['DARKROOM_EVENT_ID'], known], kept)\n"
    )
    monkeypatch.setenv("RIVYA_API_KEY", "secret")
    monkeypatch.setenv("HOME", str(tmp_path))
    desk.add("keep")
    desk.happen()

    desk.send(HookPolicy(commands={"keep": (sys.executable, str(script))}))

    known = ["DARKROOM_CATALOG", "DARKROOM_EVENT", "DARKROOM_EVENT_ID", "HOME", "PATH"]
    assert desk.deliveries()[0]["is_delivered"]
    assert json.loads((tmp_path / "got").read_text()) == ["account.paused", True, known]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("false",), "ended with 1"),
        (("sh", "-c", "echo broken >&2; exit 7"), "ended with 7: broken"),
        (("/nowhere/at/all",), "cannot be started"),
    ],
)
def test_a_command_that_fails_says_how(words: tuple[str, ...], reason: str) -> None:
    with pytest.raises(NotTaken, match=reason):
        command(words, b"{}")


def test_a_command_that_takes_too_long_is_ended_with_its_children() -> None:
    with pytest.raises(NotTaken, match="did not end"):
        command(("sh", "-c", "sleep 100 & sleep 100"), b"{}", timeout=timedelta(seconds=0.2))


@pytest.mark.parametrize("row", ["touch {}", "/usr/bin/touch", "publish; touch {}", "$(touch {})"])
def test_a_row_that_is_no_name_of_a_command_runs_nothing_and_says_so(desk: Desk, tmp_path: Path, row: str) -> None:
    desk.add("publish")
    desk.happen()
    made = tmp_path / "made"
    desk.node.query("UPDATE hook SET target = :row RETURNING id", row=row.format(made))

    desk.send(HookPolicy(commands={"publish": ("touch", str(made))}))

    assert not made.exists()
    assert "the settings of this node have none of the name" in desk.deliveries()[0]["last_error"]


def test_a_hook_that_runs_a_command_has_no_secret_to_rotate(desk: Desk) -> None:
    made = desk.add("publish")

    with pytest.raises(BadHook, match="needs no signature"):
        subscriptions.rotate(desk.node.services.database, desk.author(), str(made.hook_id))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DARKROOM_HOOK_COMMANDS", "publish.sh"),
        ("DARKROOM_HOOK_COMMANDS", '{"publish": ""}'),
        ("DARKROOM_HOOK_COMMANDS", '{"publish": "echo \'open"}'),
        ("DARKROOM_HOOK_COMMANDS", '{"pub lish": "echo"}'),
        ("DARKROOM_HOOK_HOSTS", "shop.internal"),
        ("DARKROOM_HOOK_HOSTS", "shop.internal:https"),
    ],
)
def test_settings_of_hooks_that_can_never_work_are_refused(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsFaulty, match=name):
        load()


def test_every_change_of_a_hook_is_in_the_log_of_changes_with_its_author(desk: Desk) -> None:
    made = desk.add("publish", EventType.BATCH_DONE, EventType.BUDGET_80)
    subscriptions.remove(desk.node.services.database, desk.author(), str(made.hook_id))

    kept = desk.node.query("SELECT field, actor, reason FROM change WHERE subject LIKE 'hook:%' ORDER BY field")

    assert [each["field"] for each in kept] == ["events", "kind", "removed_at", "target"]
    assert {(each["actor"], each["reason"]) for each in kept} == {("rita", "the shop wants it")}
