from datetime import UTC, datetime, timedelta

import pytest

from worker.engine.rules.give_up import BREAKER_CLOSES_AFTER, BREAKER_OPENS_AFTER, PromptRecord

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("failures", "ago", "expected"),
    [
        (BREAKER_OPENS_AFTER - 1, MOMENT, False),
        (BREAKER_OPENS_AFTER, MOMENT, True),
        (BREAKER_OPENS_AFTER + 20, MOMENT, True),
        (BREAKER_OPENS_AFTER, BREAKER_CLOSES_AFTER - MOMENT, True),
        (BREAKER_OPENS_AFTER, BREAKER_CLOSES_AFTER, False),
    ],
)
def test_five_failures_in_a_row_open_the_breaker_of_a_prompt_for_a_day(
    failures: int,
    ago: timedelta,
    expected: bool,  # noqa: FBT001 - a column of the table
) -> None:
    record = PromptRecord(failures=failures, last_failed_at=NOW - ago, last_code="generation_failed")

    assert record.is_breaker_open(NOW) is expected
