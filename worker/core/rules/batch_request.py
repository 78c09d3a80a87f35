"""A batch request: who asks, what for, how urgently, until when, and how many credits it may commit."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypeVar
from uuid import UUID

from worker.core.rules import traceparent
from worker.core.rules.errors import DarkroomError
from worker.core.rules.fault import Fault, UnfitError, not_known, quoted
from worker.core.rules.models_catalogue import SizePolicy
from worker.core.rules.text import label

_T = TypeVar("_T")


class Purpose(StrEnum):
    """What a batch is for."""

    BULK = "bulk"
    """Many images from a manifest, in the background."""
    REFRESH = "refresh"
    """The changed part of a catalog, on a schedule."""
    SINGLE = "single"
    """A few images that a person waits for."""


class Priority(StrEnum):
    """Classes of batches; a more urgent one is served first when the rate limit does not suffice."""

    INTERACTIVE = "interactive"
    """A person waits at the screen."""
    REFRESH = "refresh"
    """Wanted by a certain time."""
    BULK = "bulk"
    """Whenever there is room."""


Deadline = timedelta | datetime
"""A span counts from the moment at which it is set."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchRequest:
    """What is common to the requests that are submitted together."""

    name: str = "unnamed"
    owner: str = "nobody"
    token: str | None = None
    """The caller's own id of the submission: the same token is the same batch, never a second one."""
    purpose: Purpose = Purpose.BULK
    priority: Priority = Priority.BULK
    credit_cap: int | None = None
    """Most credits that the batch may ever commit; None is the price of all its jobs."""
    deadline: Deadline | None = None
    """When what has not ended is ended; a span counts from the moment at which the batch is taken."""
    size_policy: SizePolicy = SizePolicy.FLAG
    """What is made of images of another size than was ordered."""
    account: str | None = None
    """The account whose key pays; None: one of the pool, the owner's, or the one that is meant where none is named."""
    pool: str | None = None
    """Its jobs are spread over the accounts of this pool; not together with ``account``."""
    allow_extra: frozenset[str] = frozenset()
    """Columns of the requests that are kept as metadata although they look like others; not stored."""
    traceparent: str | None = None
    """The producer's span (W3C Trace Context), to which the spans of the batch's steps are linked."""


FIELDS = (
    "name",
    "owner",
    "token",
    "purpose",
    "priority",
    "credit_cap",
    "deadline",
    "size_policy",
    "account",
    "pool",
    "allow_extra",
    "traceparent",
)
"""The keys that a batch may have."""
CREDIT_CAP_MAX = 2**53 - 1
"""Exact in every reader of JSON."""
_BY_PURPOSE = {
    Purpose.BULK: Priority.BULK,
    Purpose.REFRESH: Priority.REFRESH,
    Purpose.SINGLE: Priority.INTERACTIVE,
}
_BY_DIGIT = (Priority.BULK,) * 4 + (Priority.REFRESH,) * 3 + (Priority.INTERACTIVE,) * 3


def validate_batch(raw: Mapping[str, object]) -> BatchRequest | tuple[Fault, ...]:
    """The batch that the mapping asks for, or every fault of it at once, each with line 0."""
    faults = [_fault(str(name), _unknown(name)) for name in raw if name not in FIELDS]

    def field(name: str, default: _T, check: Callable[[object], _T]) -> _T:
        value = raw.get(name)
        try:
            return default if value is None or value == "" else check(value)
        except UnfitError as unfit:
            faults.append(_fault(name, unfit))
            return default

    purpose = field("purpose", Purpose.BULK, _purpose)
    request = BatchRequest(
        name=field("name", "unnamed", label),
        owner=field("owner", "nobody", label),
        token=field("token", None, label),
        purpose=purpose,
        priority=field("priority", _BY_PURPOSE[purpose], _priority),
        credit_cap=field("credit_cap", None, _credit_cap),
        deadline=field("deadline", None, deadline),
        size_policy=field("size_policy", SizePolicy.FLAG, lambda value: _member(SizePolicy, value)),
        account=field("account", None, label),
        pool=field("pool", None, label),
        allow_extra=field("allow_extra", frozenset[str](), _names),
        traceparent=traceparent.parse(raw.get("traceparent")),
    )
    if request.account is not None and request.pool is not None:
        faults.append(_fault("pool", UnfitError("is not permitted together with an account")))
    return tuple(faults) if faults else request


def _fault(name: str, unfit: UnfitError) -> Fault:
    return Fault(line=0, field=name, reason=unfit.reason, permitted=unfit.permitted)


def _unknown(name: object) -> UnfitError:
    unfit = not_known(name, FIELDS) if isinstance(name, str) else UnfitError("is not a name", FIELDS)
    return UnfitError(f"a batch has no such field: {unfit.reason}", unfit.permitted)


def _names(value: object) -> frozenset[str]:
    if not isinstance(value, list | tuple | set | frozenset):
        raise UnfitError("must be a list of columns")
    return frozenset(label(name) for name in value)


def _purpose(value: object) -> Purpose:
    return _member(Purpose, value)


def _priority(value: object) -> Priority:
    digit = _digit(value)
    return _member(Priority, value) if digit is None else _BY_DIGIT[digit]


def _digit(value: object) -> int | None:
    """The urgency as Celery counts it, 9 the most urgent; None when the value is not one digit."""
    text = str(value) if isinstance(value, int | str) and value is not True and value is not False else ""
    return int(text) if len(text) == 1 and text in "0123456789" else None


_E = TypeVar("_E", bound=StrEnum)


def _member(kind: type[_E], value: object) -> _E:
    choices = tuple(member.value for member in kind)
    permitted = (*choices, "0 to 9") if issubclass(kind, Priority) else choices
    if isinstance(value, str) and value in choices:
        return kind(value)
    if isinstance(value, str):
        raise UnfitError(not_known(value, choices).reason, permitted)
    raise UnfitError(f"{_shown(value)} is not known", permitted)


def _credit_cap(value: object) -> int:
    number = _whole(value)
    if number is None:
        raise UnfitError(f"{_shown(value)} is not a whole number of credits, 0 or more")
    if not 0 <= number <= CREDIT_CAP_MAX:
        raise UnfitError(f"must be from 0 to {CREDIT_CAP_MAX:,}")
    return number


def _whole(value: object) -> int | None:
    match value:
        case bool():
            return None
        case int():
            return value
        case float() if value.is_integer():
            return int(value)
        case str() if value.isascii() and value.isdigit() and len(value) <= len(str(CREDIT_CAP_MAX)):
            return int(value)
        case _:
            return None


def _shown(value: object) -> str:
    return str(value) if isinstance(value, float | bool) else quoted(value)


DEADLINE_PASSED = "deadline_passed"
"""The code of what was ended by its deadline."""
LONGEST_DEADLINE = timedelta(days=3650)
_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1), "s": timedelta(seconds=1)}
_SPAN = re.compile(r"([0-9]{1,7}[dhms]){1,4}", re.ASCII)
_PART = re.compile(r"([0-9]+)([dhms])", re.ASCII)
_PERMITTED = ("90s", "30m", "6h", "2d", "2026-11-30T18:00:00Z")


class DeadlinePassed(DarkroomError):
    """The batch's deadline has passed, so that nothing may be retried under it; nothing was changed."""

    error_code = "deadline_passed"

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
    if not timedelta(0) < span <= LONGEST_DEADLINE:
        raise UnfitError(f"must be longer than 0s and at most {LONGEST_DEADLINE.days}d")
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
