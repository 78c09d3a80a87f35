"""What a hook may be, which secrets sign for it, and when a delivery is tried again."""

import base64
from datetime import UTC, datetime, timedelta

import pytest

from worker.hooks.rules import hook as rules
from worker.hooks.rules.hook import BadHook, HookKind

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "target",
    [
        "ftp://example.org",
        "https://",
        "https://me:word@example.org",
        "https://bücher.example",
        "https://[",
        "https://shop.example:99999",
        " ",
        "/bin/sh",
        "sh -c id",
    ],
)
def test_a_target_that_can_never_work_is_refused(target: str) -> None:
    with pytest.raises(BadHook):
        rules.kind_of(target)


def test_what_a_target_is_shows_in_how_it_is_written() -> None:
    kinds = [rules.kind_of(each) for each in ("https://shop.example/hook", "publish")]

    assert kinds == [HookKind.POST, HookKind.COMMAND]


@pytest.mark.parametrize(
    ("names", "is_of_catalog"),
    [([], False), (["live"], False), (["hook.test"], False), (["batch.done"], True)],
)
def test_an_event_that_a_hook_cannot_receive_is_refused(names: list[str], is_of_catalog: bool) -> None:  # noqa: FBT001
    with pytest.raises(BadHook):
        rules.checked_events(names, is_of_catalog=is_of_catalog)


def test_an_event_that_is_named_twice_is_received_once() -> None:
    found = rules.checked_events(["batch.done", "budget.80", "batch.done"], is_of_catalog=False)

    assert found == ["batch.done", "budget.80"]


def test_a_secret_is_its_bytes_in_base64_behind_the_prefix_of_the_standard() -> None:
    secret = rules.secret_of(b"0123456789" * 3)

    assert base64.b64decode(secret.removeprefix("whsec_")) == b"0123456789" * 3


@pytest.mark.parametrize(
    ("rotated_at", "signing"),
    [(None, ("new",)), (NOW, ("new", "old")), (NOW - timedelta(days=1), ("new",))],
)
def test_older_secrets_sign_for_a_day_after_a_rotation(rotated_at: datetime | None, signing: tuple[str, ...]) -> None:
    assert rules.signing_secrets("new old", rotated_at=rotated_at, now=NOW) == signing


def test_a_rotation_keeps_what_still_signs_and_no_more() -> None:
    assert rules.rotated("b a", "c", rotated_at=NOW, now=NOW) == "c b a"
    assert rules.rotated("b a", "c", rotated_at=NOW - timedelta(days=2), now=NOW) == "c b"


def test_a_fifth_secret_within_a_day_is_refused() -> None:
    with pytest.raises(BadHook, match="wait a day"):
        rules.rotated("d c b a", "e", rotated_at=NOW, now=NOW)


def test_a_wait_is_longer_by_chance_and_never_shorter() -> None:
    waits = [rules.wait_after(2, jitter) for jitter in (0.0, 0.5, 1.0)]

    assert waits == [timedelta(seconds=300), timedelta(seconds=330), timedelta(seconds=360)]


def test_the_tenth_failure_is_the_last() -> None:
    assert rules.wait_after(9, 0.0) == timedelta(days=1)
    assert rules.wait_after(10, 0.0) is None
    assert sum(rules.WAITS, timedelta()) > timedelta(days=3)


@pytest.mark.parametrize(
    ("status", "failing_for", "reason"),
    [
        (410, timedelta(0), "it answered 410 Gone"),
        (500, timedelta(days=5), "every try failed since 2026-11-24 12:00 UTC"),
        (500, timedelta(days=4, hours=23), None),
        (None, timedelta(0), None),
    ],
)
def test_a_hook_is_disabled_when_it_is_gone_or_fails_for_days(
    status: int | None, failing_for: timedelta, reason: str | None
) -> None:
    assert rules.disabled_reason(status=status, failing_since=NOW - failing_for, now=NOW) == reason
