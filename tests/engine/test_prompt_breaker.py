from datetime import UTC, datetime, timedelta

import pytest

from worker.engine.rules.prompt_breaker import FORGOTTEN_AFTER, POISONED_AFTER, Record

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("failures", "ago", "expected"),
    [
        (POISONED_AFTER - 1, MOMENT, False),
        (POISONED_AFTER, MOMENT, True),
        (POISONED_AFTER + 20, MOMENT, True),
        (POISONED_AFTER, FORGOTTEN_AFTER - MOMENT, True),
        (POISONED_AFTER, FORGOTTEN_AFTER, False),
    ],
)
def test_a_prompt_is_poisoned_by_five_failures_in_a_row_for_a_day(
    failures: int,
    ago: timedelta,
    expected: bool,  # noqa: FBT001 - a column of the table
) -> None:
    record = Record(failures=failures, last_failed_at=NOW - ago, last_code="generation_failed")

    assert record.is_poisoned(NOW) is expected
