"""Paid, not downloaded yet: an image whose credits are final and that is not in the store."""

from dataclasses import dataclass
from datetime import datetime, timedelta

SHOWN_AFTER = timedelta(minutes=1)
"""Before it an image is simply on its way; a screen does not speak of it."""

ALARM_AFTER = timedelta(minutes=10)
"""From then on a person must look."""

GRAVE_AFTER = timedelta(hours=1)
"""From then on it is in danger: the provider documents no lifetime of a result's address."""


@dataclass(frozen=True, kw_only=True)
class NotDownloaded:
    """Images that are paid and not in the store, and that are still being asked for."""

    count: int = 0
    since: datetime | None = None
    """When the oldest of them was paid; None when there is none."""

    def is_older_than(self, age: timedelta, *, now: datetime) -> bool:
        """Whether the oldest has been out of hand for so long."""
        return self.since is not None and now - self.since >= age


def next_try(*, since: datetime, now: datetime, wait: timedelta) -> datetime:
    """Return when to ask for the image again: after the wait, and in any case when the alarm is due."""
    alarm_at = since + ALARM_AFTER
    return min(now + wait, alarm_at) if now < alarm_at else now + wait


def is_alarm(*, since: datetime, due_at: datetime, now: datetime) -> bool:
    """Whether this try is the first one that failed with the alarm due; each later one was due after it."""
    alarm_at = since + ALARM_AFTER
    return due_at <= alarm_at <= now
