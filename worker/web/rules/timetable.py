"""How often a schedule runs, as people say it, and the cron line that means the same."""

import re

OFTEN = (
    ("daily", "Every day", "* * *"),
    ("workdays", "Mondays to Fridays", "* * 1-5"),
    ("mondays", "Every Monday", "* * 1"),
    ("tuesdays", "Every Tuesday", "* * 2"),
    ("wednesdays", "Every Wednesday", "* * 3"),
    ("thursdays", "Every Thursday", "* * 4"),
    ("fridays", "Every Friday", "* * 5"),
    ("saturdays", "Every Saturday", "* * 6"),
    ("sundays", "Every Sunday", "* * 0"),
    ("monthly", "On the first of each month", "1 * *"),
)
"""A word, how it is shown, and its day of the month, month and weekday."""
OTHERWISE = "cron"
"""The word for a cron line of one's own."""
_DAYS = {word: days for word, _, days in OFTEN}
_WORDS = {days: (word, label) for word, label, days in OFTEN}
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)
_LINE = re.compile(r"([0-5]?\d) ([01]?\d|2[0-3]) (.+)", re.ASCII)


def cron_of(often: str, clock: str) -> str | None:
    """Return the cron line of a word at a time such as 02:00; None for an unknown word or an impossible time."""
    days, found = _DAYS.get(often), _CLOCK.fullmatch(clock)
    if days is None or found is None:
        return None
    return f"{int(found[2])} {int(found[1])} {days}"


def often_of(cron: str) -> tuple[str, str] | None:
    """Return the word and the time that mean the same as a cron line; None when there is no word for it."""
    found = _LINE.fullmatch(cron)
    if found is None or found[3] not in _WORDS:
        return None
    return _WORDS[found[3]][0], f"{int(found[2]):02}:{int(found[1]):02}"


def in_words(cron: str) -> str | None:
    """Return a cron line as people say it; None when there are no words for it."""
    found = often_of(cron)
    if found is None:
        return None
    label = next(label for word, label, _ in OFTEN if word == found[0])
    return f"{label} at {found[1]}"
