"""Schedules: how often one runs, in words, what a run does when others are in its way, and where it stands."""

import re
from datetime import timedelta
from enum import StrEnum

RUN_LEASE = timedelta(minutes=10)
"""How long a node has a run to itself; planning 50,000 items takes seconds."""


class OverlapPolicy(StrEnum):
    """What a run does while the one before it is not done."""

    SKIP = "skip"
    """It is left out, and says so."""
    QUEUE = "queue"
    """It waits for the other one."""


class MissedPolicy(StrEnum):
    """What to do about fire times at which no node was running."""

    RUN_ONCE = "run_once"
    """The newest of them is made up for, the others are left out."""
    SKIP = "skip"
    """They are all left out."""


class RunState(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    """It waits for the run before it."""
    PLANNING = "planning"
    """A node is making its plan."""
    APPROVAL = "approval"
    """Its plan waits for approval."""
    RENDERING = "rendering"
    """Its batch is under way."""
    DONE = "done"
    """All of its batch has ended, or there was nothing to render."""
    SKIPPED = "skipped"
    """It was left out, or ended before anything of it was rendered; the outcome says why."""
    FAILED = "failed"
    """It could not be planned or applied; the outcome says why."""


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
    """Return a cron line in words; None when there is no short form."""
    found = often_of(cron)
    if found is None:
        return None
    label = next(label for word, label, _ in OFTEN if word == found[0])
    return f"{label} at {found[1]}"
