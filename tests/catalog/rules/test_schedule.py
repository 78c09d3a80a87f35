"""A schedule's cron line and the words for it mean the same."""

import pytest

from worker.catalog.rules import schedule


@pytest.mark.parametrize(
    ("often", "clock", "cron"),
    [
        ("daily", "02:00", "0 2 * * *"),
        ("workdays", "2:05", "5 2 * * 1-5"),
        ("sundays", "23:59", "59 23 * * 0"),
        ("monthly", "00:00", "0 0 1 * *"),
        ("hourly", "02:00", None),
        ("daily", "24:00", None),
        ("daily", "", None),
    ],
)
def test_a_word_and_a_time_make_a_cron_line(often: str, clock: str, cron: str | None) -> None:
    assert schedule.cron_of(often, clock) == cron


@pytest.mark.parametrize(
    ("cron", "often", "words"),
    [
        ("0 2 * * *", ("daily", "02:00"), "Every day at 02:00"),
        ("05 2 * * 1-5", ("workdays", "02:05"), "Mondays to Fridays at 02:05"),
        ("0 0 1 * *", ("monthly", "00:00"), "On the first of each month at 00:00"),
        ("*/5 2 * * *", None, None),
        ("0 2 3 * *", None, None),
    ],
)
def test_a_cron_line_is_said_in_words_where_there_are_some(
    cron: str, often: tuple[str, str] | None, words: str | None
) -> None:
    assert (schedule.often_of(cron), schedule.in_words(cron)) == (often, words)


@pytest.mark.parametrize("word", [word for word, _, _ in schedule.OFTEN])
def test_every_word_comes_back_from_its_cron_line(word: str) -> None:
    cron = schedule.cron_of(word, "07:30")

    assert cron is not None
    assert schedule.often_of(cron) == (word, "07:30")
