"""A job is given up only when trying longer is no use, and never as unpaid when it may be paid."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.rules.retry import DOWNLOAD_LIMITS
from worker.core.rules.states import StepKind
from worker.engine.rules import give_up
from worker.engine.rules.give_up import (
    ALARM_AFTER,
    MOST_CRASHES,
    PROMPT_BREAKER_OPEN,
    CrashVerdict,
    NotDownloaded,
    PromptRecord,
)
from worker.engine.rules.polling import DOUBT_AFTER

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
FOREVER = timedelta(days=3650)
SPANS = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=2))


@given(st.sampled_from(StepKind), st.integers(0, MOST_CRASHES - 1), st.booleans(), SPANS)
def test_a_few_crashes_are_tried_again(kind: StepKind, crashes: int, sent: bool, age: timedelta) -> None:  # noqa: FBT001
    assert give_up.crash_verdict(kind, crashes=crashes, is_perhaps_sent=sent, age=age) is CrashVerdict.TRY_AGAIN


@pytest.mark.parametrize(
    ("kind", "is_perhaps_sent", "age", "verdict"),
    [
        (StepKind.UPLOAD, False, FOREVER, CrashVerdict.FAIL_UNSENT),
        (StepKind.SUBMIT, False, FOREVER, CrashVerdict.FAIL_UNSENT),
        (StepKind.UPLOAD, True, timedelta(0), CrashVerdict.DOUBT),
        (StepKind.SUBMIT, True, timedelta(0), CrashVerdict.DOUBT),
        (StepKind.POLL, True, DOUBT_AFTER - MOMENT, CrashVerdict.TRY_AGAIN),
        (StepKind.POLL, True, DOUBT_AFTER, CrashVerdict.DOUBT),
        (StepKind.COLLECT, True, DOWNLOAD_LIMITS.unreachable - MOMENT, CrashVerdict.TRY_AGAIN),
        (StepKind.COLLECT, True, DOWNLOAD_LIMITS.unreachable, CrashVerdict.FAIL_PAID),
    ],
)
def test_many_crashes_end_a_job_as_what_may_have_been_paid_says(
    kind: StepKind,
    is_perhaps_sent: bool,  # noqa: FBT001 - a column of the table
    age: timedelta,
    verdict: CrashVerdict,
) -> None:
    found = give_up.crash_verdict(kind, crashes=MOST_CRASHES, is_perhaps_sent=is_perhaps_sent, age=age)

    assert found is verdict


def test_a_person_is_told_how_a_prompt_failed_and_how_to_ask_again() -> None:
    words = PromptRecord(failures=5, last_failed_at=NOW, last_code="generation_failed").words

    assert "failed 5 times in a row, last with generation_failed" in words
    assert f"`darkroom retry BATCH --code {PROMPT_BREAKER_OPEN}`" in words


@pytest.mark.parametrize(("since", "is_older"), [(None, False), (NOW, True), (NOW + MOMENT, False)])
def test_only_an_image_that_is_missing_has_an_age(
    since: datetime | None,
    is_older: bool,  # noqa: FBT001 - a column of the table
) -> None:
    found = NotDownloaded(count=1, since=since)

    assert found.is_older_than(ALARM_AFTER, now=NOW + ALARM_AFTER) is is_older


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (NotDownloaded(count=2), ""),
        (
            NotDownloaded(count=2, failing=1, error="HTTP 503", next_at=NOW),
            "1 download failed, last with: HTTP 503; next try 2026-11-22 12:00:00 UTC",
        ),
        (
            NotDownloaded(count=2_000, failing=1_500, error="HTTP 503", next_at=NOW),
            "1,500 downloads failed, last with: HTTP 503; next try 2026-11-22 12:00:00 UTC",
        ),
    ],
    ids=["on its way", "one", "many"],
)
def test_why_an_image_is_missing_is_said_once_a_download_of_it_has_failed(found: NotDownloaded, why: str) -> None:
    assert found.why == why


@given(SPANS, st.timedeltas(min_value=MOMENT, max_value=timedelta(days=1)))
def test_of_the_tries_of_an_image_exactly_one_raises_the_alarm(took: timedelta, wait: timedelta) -> None:
    """Each try but the first is made when it is due, or ``took`` later."""
    now, due_at, alarms = NOW, NOW, 0
    while due_at <= NOW + ALARM_AFTER and alarms < 2:
        now = max(now, due_at)
        alarms += give_up.is_alarm(since=NOW, due_at=due_at, now=now)
        due_at = give_up.next_try(since=NOW, now=now, wait=max(wait, ALARM_AFTER / 50))
        now = due_at + took

    assert alarms == 1


@pytest.mark.parametrize(
    ("age", "wait", "expected"),
    [
        (timedelta(0), timedelta(minutes=1), timedelta(minutes=1)),
        (timedelta(0), timedelta(hours=1), ALARM_AFTER),
        (ALARM_AFTER, timedelta(hours=1), ALARM_AFTER + timedelta(hours=1)),
    ],
    ids=["soon", "over the alarm", "after it"],
)
def test_a_try_is_made_when_the_alarm_is_due(age: timedelta, wait: timedelta, expected: timedelta) -> None:
    assert give_up.next_try(since=NOW, now=NOW + age, wait=wait) == NOW + expected
