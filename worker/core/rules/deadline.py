"""When a batch must be over: so long after it was submitted, or at an instant."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from worker.core.rules.fault import UnfitError, quoted

Deadline = timedelta | datetime
"""A span counts from the moment at which it is set."""

PASSED = "deadline_passed"
"""The code of what was ended by its deadline."""

LONGEST = timedelta(days=3650)

_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1), "s": timedelta(seconds=1)}
_SPAN = re.compile(r"([0-9]{1,7}[dhms]){1,4}", re.ASCII)
_PART = re.compile(r"([0-9]+)([dhms])", re.ASCII)
_PERMITTED = ("90s", "30m", "6h", "2d", "2026-11-30T18:00:00Z")


class DeadlinePassed(Exception):
    """The batch's deadline has passed, so that nothing may be asked for again under it; nothing was changed."""

    def __init__(self, batch_id: UUID, deadline_at: datetime) -> None:
        """Keep which batch, and when its deadline was."""
        super().__init__(batch_id, deadline_at)
        self.batch_id = batch_id
        self.deadline_at = deadline_at

    def __str__(self) -> str:
        """Return the message, with the next step."""
        return (
            f"the deadline of batch {self.batch_id} has passed ({self.deadline_at:%Y-%m-%d %H:%M:%S} UTC):"
            f" `darkroom retry {self.batch_id} --deadline 6h` sets a new one"
        )


def deadline(value: object) -> Deadline:
    """Read a span such as 6h or 1d12h, or an instant with its time zone; raise UnfitError."""
    match value:
        case timedelta():
            return _span(value)
        case datetime():
            return _instant(value)
        case str() if _SPAN.fullmatch(value.strip()):
            parts = _PART.findall(value.strip())
            return _span(sum((int(count) * _UNITS[unit] for count, unit in parts), timedelta()))
        case str():
            return _instant(_read(value.strip()))
        case _:
            raise UnfitError(f"{quoted(value)} is neither a span nor an instant", _PERMITTED)


def falls_at(wanted: Deadline, *, now: datetime) -> datetime:
    """Return the instant of a deadline that is set now."""
    return now + wanted if isinstance(wanted, timedelta) else wanted


def _span(span: timedelta) -> timedelta:
    if not timedelta(0) < span <= LONGEST:
        raise UnfitError(f"must be longer than 0s and at most {LONGEST.days}d")
    return span


def _read(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise UnfitError(f"{quoted(text)} is neither a span nor an instant", _PERMITTED) from None


def _instant(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise UnfitError(f"has no time zone: write {instant.isoformat()}Z for UTC")
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise UnfitError("is out of range") from None
