"""An operator looks at an account, stops it, continues it, and sets its limits, which outlive a restart."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, event, text

from tests.cli.conftest import Darkroom
from worker import wiring
from worker.accounts.queries import accounts
from worker.core.db.session import Database
from worker.core.rules.errors import PauseReason
from worker.settings import Settings


@pytest.fixture
def account(darkroom: Darkroom, good_manifest: Path) -> str:
    """Return the name of an account that a first batch has made."""
    darkroom("submit", str(good_manifest), "--token", "spring")
    return "default"


def shown(darkroom: Darkroom, *command: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(darkroom("account", *command, "--json").stdout)
    return found


def start_node(database_url: str, tmp_path: Path, **settings: object) -> None:
    """Put together what a node that starts works with."""
    given = {"RIVYA_API_KEY": SecretStr("rvya_sk_none"), "RIVYA_BASE_URL": "http://127.0.0.1:9"}
    places = {"DARKROOM_DATABASE_URL": SecretStr(database_url), "DARKROOM_STORE": str(tmp_path)}
    services = wiring.services(Settings(**given, **places, **settings))  # type: ignore[arg-type]
    services.database.close()


def test_show_says_pace_window_wallet_and_pause(darkroom: Darkroom, account: str) -> None:
    found = shown(darkroom, "show")

    assert found["account"] == account
    assert (found["max_in_flight"], found["in_flight"], found["paused"]) == (100, 0, None)
    assert found["wallet"] == {"left": None, "read_at": None}


def test_a_paused_account_is_what_its_batches_wait_for(darkroom: Darkroom, account: str) -> None:
    darkroom("account", "pause", "--by", "ann", "--reason", "the prices are being looked at")

    status = json.loads(darkroom("status", "spring", "--json").stdout)
    assert status["state"] == "waiting"
    assert status["waiting_for"] == {
        "reason": "account paused: operator (ann: the prices are being looked at)",
        "next_step": "`darkroom account resume default`",
    }


def test_the_next_step_names_the_account_that_is_paused(darkroom: Darkroom, good_manifest: Path) -> None:
    """Without its name the command would resume the account of the process, and the other one would stay paused."""
    several = {"DARKROOM_ACCOUNTS": "shop,studio"}
    darkroom("submit", str(good_manifest), "--token", "spring", "--account", "studio", **several)

    paused = darkroom("account", "pause", "studio", **several).stdout

    assert "with `darkroom account resume studio`" in paused
    status = json.loads(darkroom("status", "spring", "--json", **several).stdout)
    assert status["waiting_for"]["next_step"] == "`darkroom account resume studio`"
    examined = json.loads(darkroom("doctor", "--json", **several).stdout.splitlines()[-1])
    [warned] = [each for each in examined["findings"] if "paused (operator)" in each["detail"]]
    assert warned["next_step"] == "`darkroom account resume studio`"


def test_a_resumed_account_holds_nothing_up(darkroom: Darkroom, account: str) -> None:
    darkroom("account", "pause")

    resumed = shown(darkroom, "resume")

    assert resumed["paused"] is None
    assert json.loads(darkroom("status", "spring", "--json").stdout)["waiting_for"] is None


def close_key(database: Database) -> None:
    """Close the account's key for a quarter of an hour, as a 429 does."""
    with database.transaction() as tx:
        tx.execute(text("UPDATE account SET closed_at = now(), blocked_until = now() + interval '15 minutes'"))


def test_resuming_locks_the_account_once(darkroom: Darkroom, account: str, database: Database) -> None:
    close_key(database)
    locks: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "FROM account" in statement and "FOR NO KEY UPDATE" in statement:
            locks.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        shown(darkroom, "resume")
    finally:
        event.remove(Engine, "before_cursor_execute", note)

    assert len(locks) == 1


def test_a_closed_key_is_what_batches_wait_for_until_a_person_opens_it(
    darkroom: Darkroom, account: str, database: Database
) -> None:
    close_key(database)
    until = datetime.fromisoformat(shown(darkroom, "show")["blocked_until"])
    waiting = json.loads(darkroom("status", "spring", "--json").stdout)["waiting_for"]

    resumed = shown(darkroom, "resume")

    assert waiting == {
        "reason": f"the provider asked to wait until {until:%Y-%m-%d %H:%M:%S} UTC",
        "next_step": "nothing; work resumes then, or at once with `darkroom account resume default`",
    }
    assert resumed["blocked_until"] is None
    assert json.loads(darkroom("status", "spring", "--json").stdout)["waiting_for"] is None


def test_models_that_are_not_offered_are_listed_with_the_account(
    darkroom: Darkroom, account: str, database: Database
) -> None:
    with database.transaction() as tx:
        tx.execute(
            text("""
                INSERT INTO model_pause (account_id, model, status, message, paused_at, probe_at, probes)
                SELECT id, 'z-image', 'removed', 'gone', now(), now(), 0 FROM account""")
        )

    [found] = shown(darkroom, "show")["paused_models"]

    assert (found["model"], found["status"]) == ("z-image", "removed")
    assert "does not offer the model z-image" in darkroom("account", "show").stdout.replace("\n", " ")


def test_the_opening_of_a_key_is_kept(darkroom: Darkroom, account: str, database: Database) -> None:
    close_key(database)

    darkroom("account", "resume", "--by", "bob")
    darkroom("account", "resume", "--by", "bob")

    with database.transaction() as tx:
        assert tx.execute(text("SELECT field, actor FROM change")).all() == [("closed_until", "bob")]


def test_the_doctor_warns_of_a_key_that_is_closed_for_long(
    darkroom: Darkroom, account: str, database: Database
) -> None:
    close_key(database)

    examined = json.loads(darkroom("doctor", "--json").stdout.splitlines()[-1])

    found = next(each for each in examined["findings"] if each["part"] == "rate limit")
    assert found["verdict"] == "warning"
    assert "`darkroom account resume default`" in found["next_step"]


def test_what_an_operator_does_is_kept(darkroom: Darkroom, account: str, database: Database) -> None:
    darkroom("account", "pause", "--by", "ann", "--reason", "lunch")
    darkroom("account", "resume", "--by", "bob")
    darkroom("account", "resume", "--by", "bob")
    darkroom("account", "set", "--rate", "5", "--read-rate", "8", "--by", "bob")
    darkroom("account", "set", "--read-rate", "shared", "--by", "ann")

    with database.transaction() as tx:
        kept = tx.execute(text("SELECT field, before, after, actor, reason FROM change ORDER BY id"))
        rows = [tuple(row) for row in kept]
    assert rows == [
        ("pause", None, "operator", "ann", "lunch"),
        ("pause", "operator", None, "bob", None),
        ("rate", "auto", "5", "bob", None),
        ("read_rate", "shared", "8", "bob", None),
        ("read_rate", "8", "shared", "ann", None),
    ]


def test_each_limit_is_set_alone(darkroom: Darkroom, account: str) -> None:
    darkroom("account", "set", "--rate", "2.5")
    darkroom("account", "set", "--max-in-flight", "7")
    darkroom("account", "set", "--read-rate", "6")

    found = shown(darkroom, "show")

    assert (found["rate"], found["is_rate_learned"], found["max_in_flight"]) == (2.5, False, 7)
    assert found["read_rate"] == 6


def test_reads_share_the_pace_until_they_have_one_of_their_own(darkroom: Darkroom, account: str) -> None:
    before = (shown(darkroom, "show")["read_rate"], darkroom("account", "show").stdout)

    after = (shown(darkroom, "set", "--read-rate", "6")["read_rate"], darkroom("account", "show").stdout)

    assert before[0] is None
    assert "the same" in before[1]
    assert after[0] == 6
    assert "6 requests a second" in after[1]


def test_a_rate_is_learned_again_after_auto(darkroom: Darkroom, account: str) -> None:
    darkroom("account", "set", "--rate", "2.5")

    found = shown(darkroom, "set", "--rate", "auto")

    assert found["is_rate_learned"]


def test_what_was_set_outlives_the_restart_of_a_node(
    darkroom: Darkroom, account: str, database_url: str, tmp_path: Path
) -> None:
    start_node(database_url, tmp_path, DARKROOM_RATE=20, DARKROOM_READ_RATE=30, DARKROOM_MAX_IN_FLIGHT=50)
    darkroom("account", "set", "--rate", "3", "--read-rate", "4", "--max-in-flight", "9")

    start_node(database_url, tmp_path, DARKROOM_RATE=20, DARKROOM_READ_RATE=30, DARKROOM_MAX_IN_FLIGHT=50)

    found = shown(darkroom, "show")
    assert (found["rate"], found["read_rate"], found["max_in_flight"]) == (3, 4, 9)


@pytest.mark.parametrize(("setting", "read_rate"), [({"DARKROOM_READ_RATE": 31}, 31), ({}, None)])
def test_a_new_word_about_reads_takes_the_place_of_what_was_set(
    setting: dict[str, int],
    read_rate: int | None,
    darkroom: Darkroom,
    account: str,
    database_url: str,
    tmp_path: Path,
) -> None:
    start_node(database_url, tmp_path, DARKROOM_READ_RATE=30)
    darkroom("account", "set", "--read-rate", "4")

    start_node(database_url, tmp_path, **setting)

    assert shown(darkroom, "show")["read_rate"] == read_rate


def test_a_setting_that_says_something_new_takes_the_place_of_what_was_set(
    darkroom: Darkroom, account: str, database_url: str, tmp_path: Path
) -> None:
    start_node(database_url, tmp_path, DARKROOM_RATE=20, DARKROOM_MAX_IN_FLIGHT=50)
    darkroom("account", "set", "--rate", "3", "--max-in-flight", "9")

    start_node(database_url, tmp_path, DARKROOM_RATE=20, DARKROOM_MAX_IN_FLIGHT=60)

    found = shown(darkroom, "show")
    assert (found["rate"], found["max_in_flight"]) == (3, 60)


def test_a_person_may_say_that_a_new_key_is_of_the_same_account(
    darkroom: Darkroom, account: str, database_url: str, database: Database, tmp_path: Path
) -> None:
    start_node(database_url, tmp_path)

    key = {"RIVYA_API_KEY": "rvya_sk_new", "RIVYA_BASE_URL": "http://127.0.0.1:9"}
    darkroom("account", "same-key", "--by", "ann", "--reason", "rotated", **key)

    with database.transaction() as tx:
        kept = [tuple(row) for row in tx.execute(text("SELECT field, actor, reason FROM change"))]
    assert kept == [("key", "ann", "rotated")]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("show", "other"), 1, "there is no account 'other': there are default"),
        (("pause", "other"), 1, "there is no account 'other'"),
        (("same-key",), 2, "set RIVYA_API_KEY to the new key, and say with --reason"),
        (("set",), 2, "say what to set"),
        (("set", "--rate", "0"), 2, "--rate: a number above 0"),
        (("set", "--rate", "fast"), 2, "--rate: a number above 0"),
        (("set", "--rate", "nan"), 2, "--rate: a number above 0"),
        (("set", "--read-rate", "auto"), 2, "--read-rate: a number above 0"),
        (("set", "--max-in-flight", "0"), 2, "Invalid value"),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: tuple[str, ...], code: int, said: str, darkroom: Darkroom, account: str
) -> None:
    done = darkroom("account", *arguments)

    assert done.returncode == code
    assert said in done.stderr


WORDS = (
    "9 of 9 prompts failed since 2026-11-28 10:00:00 UTC, last with generation_failed; 7 attempts given back; next"
    " canary at 2026-11-28 10:05:00 UTC"
)


@pytest.fixture
def failing(account: str, database: Database) -> str:
    """Return the name of an account whose provider fails everything."""
    with database.transaction() as tx:
        account_id = tx.execute(text("SELECT id FROM account WHERE name = :name"), {"name": account}).scalar_one()
        accounts.pause(
            tx,
            account_id,
            reason=PauseReason.PROVIDER_FAILING,
            message=WORDS,
            now=datetime(2026, 11, 28, 10, tzinfo=UTC),
            probe_at=datetime(2026, 11, 28, 10, 5, tzinfo=UTC),
            probes=3,
        )
    return account


@pytest.mark.parametrize("command", [("account", "show"), ("status", "spring"), ("doctor",)])
def test_every_look_says_that_the_provider_is_failing_what_was_given_back_and_when_it_is_probed(
    command: tuple[str, ...], darkroom: Darkroom, failing: str
) -> None:
    said = " ".join(darkroom(*command).stdout.split())

    assert "provider_failing" in said
    assert "9 of 9 prompts failed since 2026-11-28 10:00:00 UTC" in said
    assert "next canary at 2026-11-28 10:05:00 UTC" in said


def test_resume_ends_a_pause_for_a_failing_provider_by_hand(
    darkroom: Darkroom, failing: str, database: Database
) -> None:
    assert "when a canary succeeds" in " ".join(darkroom("account", "show").stdout.split())

    resumed = shown(darkroom, "resume")

    assert resumed["paused"] is None
    with database.transaction() as tx:
        assert tx.execute(text("SELECT before FROM change WHERE field = 'pause'")).scalar_one() == "provider_failing"
