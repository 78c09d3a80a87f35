from datetime import UTC, datetime, timedelta, timezone

import pytest

from worker.core.rules.batch_request import LONGEST_DEADLINE, deadline, falls_at
from worker.core.rules.fault import UnfitError

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "span"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("6h", timedelta(hours=6)),
        ("2d", timedelta(days=2)),
        (" 1d12h ", timedelta(days=1.5)),
        (timedelta(hours=1), timedelta(hours=1)),
    ],
)
def test_a_span_counts_from_now(written: object, span: timedelta) -> None:
    assert falls_at(deadline(written), now=NOON) == NOON + span


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2026-11-30T18:00:00Z", NOON + timedelta(hours=6)),
        ("2026-11-30T18:00:00+02:00", NOON + timedelta(hours=4)),
        (datetime(2026, 11, 30, 13, tzinfo=timezone(timedelta(hours=1))), NOON),
    ],
)
def test_an_instant_is_that_instant(written: object, instant: datetime) -> None:
    assert falls_at(deadline(written), now=NOON) == instant


@pytest.mark.parametrize(
    "written",
    [
        "0s", "-6h", "6", "6 h", "6w", "1.5h", "h", "soon", "9999999d", "2026-11-30", "2026-11-30T18:00:00",
        "0001-01-01T00:00:00+14:00", "\u0666h", "1h" * 9, 6, 6.5, True, [], LONGEST_DEADLINE + timedelta(seconds=1),
    ],
)  # fmt: skip
def test_what_is_neither_a_span_nor_an_instant_with_its_zone_is_unfit(written: object) -> None:
    with pytest.raises(UnfitError):
        deadline(written)
