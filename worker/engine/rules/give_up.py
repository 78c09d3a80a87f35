"""When to give up: steps that crash, prompts that keep failing, paid images that cannot be downloaded."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import assert_never

from worker.core.rules import retry
from worker.core.rules.retry import Backoff
from worker.core.rules.states import StepKind
from worker.engine.rules import polling

CRASHED = "internal_error"
"""The failure of a job that a bug of ours has ended."""
MOST_CRASHES = 5
"""So many crashes in a row are no accident."""
CRASH_WAITS = Backoff(first=timedelta(seconds=30), most=timedelta(minutes=10))
"""Between two tries: a node of another version, or one with the bug fixed, may do the step meanwhile."""


class CrashVerdict(Enum):
    """What follows from a crash."""

    TRY_AGAIN = auto()
    """Later, with growing waits."""
    FAIL_UNSENT = auto()
    """The job fails and its hold is void: surely nothing was created."""
    DOUBT = auto()
    """The job is in doubt and its credits stay where they are: something may have been created, or has been."""
    FAIL_PAID = auto()
    """The job fails with its credits spent; its image is downloaded again by ``darkroom retry``, free of charge."""


def crash_verdict(kind: StepKind, *, crashes: int, is_perhaps_sent: bool, age: timedelta) -> CrashVerdict:
    """Return what follows after so many crashes in a row.

    ``age`` is the time since the provider accepted the generation, or of a collect since the image is paid for: what
    is at the provider has as much time as if it had not answered.
    """
    if crashes < MOST_CRASHES:
        return CrashVerdict.TRY_AGAIN
    match kind:
        case StepKind.UPLOAD | StepKind.SUBMIT:
            return CrashVerdict.DOUBT if is_perhaps_sent else CrashVerdict.FAIL_UNSENT
        case StepKind.POLL:
            return CrashVerdict.DOUBT if age >= polling.DOUBT_AFTER else CrashVerdict.TRY_AGAIN
        case StepKind.COLLECT:
            return CrashVerdict.FAIL_PAID if age >= retry.DOWNLOAD_LIMITS.unreachable else CrashVerdict.TRY_AGAIN
        case _:
            assert_never(kind)


BREAKER_OPENS_AFTER = 5
"""So many failures in a row, in whatever jobs and batches, and the breaker of its prompt opens.

A provider that fails one generation in ten for reasons of its own does that to a good prompt once in 100,000 times; one
that fails every other, once in 32, and then asking again is a matter of one command. Fewer would be more than the
attempts that a single job may have by default.
"""
BREAKER_CLOSES_AFTER = timedelta(days=1)
"""A prompt that has not failed for so long may be tried again: the provider may have changed."""
PROMPT_BREAKER_OPEN = "poisoned_prompt"
"""The failure of a job whose prompt is not asked for any more."""


@dataclass(frozen=True, kw_only=True)
class PromptRecord:
    """What is remembered of a prompt that has failed since it last succeeded."""

    failures: int
    last_failed_at: datetime
    last_code: str

    def is_breaker_open(self, now: datetime) -> bool:
        """Return whether nothing more is to be paid for it."""
        return self.failures >= BREAKER_OPENS_AFTER and now < self.last_failed_at + BREAKER_CLOSES_AFTER

    @property
    def words(self) -> str:
        """The failure message of a job."""
        return (
            f"the prompt has failed {self.failures} times in a row, last with {self.last_code}, so nothing more is paid"
            f" for it: change it, or ask again with `darkroom retry BATCH --code {PROMPT_BREAKER_OPEN}`"
        )


SHOWN_AFTER = timedelta(minutes=1)
"""Before it an image is simply on its way; a screen does not speak of it."""
ALARM_AFTER = timedelta(minutes=10)
"""From then on a person must look."""
GRAVE_AFTER = timedelta(hours=1)
"""From then on it is in danger: the provider documents no lifetime of a result's address."""


@dataclass(frozen=True, kw_only=True)
class NotDownloaded:
    """Paid images that are not in the store, and whose download is being retried."""

    count: int = 0
    since: datetime | None = None
    """When the oldest of them was paid; None when there is none."""
    failing: int = 0
    """How many of them a download has failed for."""
    error: str | None = None
    """Why the latest of those failed, in words."""
    next_at: datetime | None = None
    """When the first of those is tried again."""

    @property
    def why(self) -> str:
        """Why they are not there, in one line; empty when no download has failed."""
        if self.error is None or self.next_at is None:
            return ""
        downloads = "1 download" if self.failing == 1 else f"{self.failing:,} downloads"
        return f"{downloads} failed, last with: {self.error}; next try {self.next_at:%Y-%m-%d %H:%M:%S} UTC"

    def is_older_than(self, age: timedelta, *, now: datetime) -> bool:
        """Whether the oldest has been out of hand for so long."""
        return self.since is not None and now - self.since >= age


def next_try(*, since: datetime, now: datetime, wait: timedelta) -> datetime:
    """Return when to retry the download: after the wait, and in any case when the alarm is due."""
    alarm_at = since + ALARM_AFTER
    return min(now + wait, alarm_at) if now < alarm_at else now + wait


def is_alarm(*, since: datetime, due_at: datetime, now: datetime) -> bool:
    """Whether this try is the first one that failed with the alarm due; each later one was due after it."""
    alarm_at = since + ALARM_AFTER
    return due_at <= alarm_at <= now
