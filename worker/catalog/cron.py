"""When a schedule is due: a cron line of five fields, read on the wall clock of its time zone.

Both changes of daylight-saving time follow the usual cron rule. A line with a fixed minute and a fixed hour is due
exactly once a day: a time that the change leaves out is due at the first instant that exists after it, and a
time that comes twice is due the first time. A line whose minute or hour begins with ``*`` counts real time: hours
that are left out are not due, hours that come twice are due twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice, takewhile
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

_FIELDS = 5
_MOST_FIELDS_TEXT = 200
_NO_ZONES = frozenset({"localtime", "posixrules", "Factory", "posix", "right"})
"""Files beside the IANA zones: another zone on the next machine, or one that counts otherwise."""


class BadTiming(ValueError):
    """The cron line or the time zone cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """A cron line and the time zone whose wall clock it is read on; ``timing`` checks both."""

    cron: str
    tz: str

    def after(self, instant: datetime) -> Iterator[datetime]:
        """Yield the due times that are later than the instant, as UTC, without end."""
        last = instant
        for local in CronSim(self.cron, instant.astimezone(ZoneInfo(self.tz))):
            due = local.astimezone(UTC)
            # An instant of the hour that comes twice has lost its second half in the library's own arithmetic.
            if due > last:
                last = due
                yield due

    def next_times(self, instant: datetime, count: int) -> list[datetime]:
        """Return the next few due times after the instant."""
        return list(islice(self.after(instant), count))


@dataclass(frozen=True, kw_only=True)
class DueRun:
    """The fire times that are due and not claimed: the latest, and how many there are."""

    due_at: datetime
    count: int


def due_run(timing: Timing, *, since: datetime, now: datetime) -> DueRun | None:
    """Return the fire times after ``since`` and up to ``now``; None when there are none."""
    latest, count = None, 0
    for due in takewhile(lambda due: due <= now, timing.after(since)):
        latest, count = due, count + 1
    return None if latest is None else DueRun(due_at=latest, count=count)


def timing(cron: str, tz: str, *, now: datetime) -> Timing:
    """Return the checked pair; raise BadTiming that says which of the two is at fault and what is permitted."""
    line = " ".join(cron.split())
    if len(line.split()) != _FIELDS or len(line) > _MOST_FIELDS_TEXT:
        raise BadTiming(
            f"the cron line {cron[:_MOST_FIELDS_TEXT]!r} must have five fields: minute, hour, day of the month, month,"
            ' day of the week, such as "0 2 * * 1" for Mondays at 02:00'
        )
    _check_zone(tz)
    found = Timing(cron=line, tz=tz)
    try:
        upcoming = found.next_times(now, 1)
    except CronSimError as error:
        raise BadTiming(f"the cron line {line!r} cannot be read: {error}") from error
    if not upcoming:
        raise BadTiming(f"the cron line {line!r} is never due: no such day exists")
    return found


def _check_zone(tz: str) -> None:
    unknown = BadTiming(
        f"the time zone {tz!r} is not known: give a name such as Europe/Paris or UTC"
        " (a machine without the IANA time zones needs the Debian package tzdata)"
    )
    if tz.partition("/")[0] in _NO_ZONES:
        raise unknown
    try:
        ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise unknown from error
