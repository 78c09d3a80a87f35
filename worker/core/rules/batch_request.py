"""A batch request says who asks, what for, how urgently, and how many credits may be used at most."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from worker.core.rules.as_ordered import SizePolicy
from worker.core.rules.deadline import Deadline, deadline
from worker.core.rules.fault import Fault, UnfitError, not_known, quoted
from worker.core.rules.plain_text import label

_T = TypeVar("_T")


class Purpose(StrEnum):
    """What a batch is for."""

    BULK = "bulk"
    """Many images from a manifest, in the background."""
    REFRESH = "refresh"
    """The changed part of a catalog, on a schedule."""
    SINGLE = "single"
    """A few images that somebody is waiting for."""


class Priority(StrEnum):
    """Whose turn comes first when the pace does not suffice for all."""

    INTERACTIVE = "interactive"
    """Somebody is looking at the screen."""
    REFRESH = "refresh"
    """Wanted by a certain time."""
    BULK = "bulk"
    """Whenever there is room."""


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
    allow_extra: frozenset[str] = frozenset()
    """Columns of the requests that are kept as metadata although they look like others; not stored."""


FIELDS = ("name", "owner", "token", "purpose", "priority", "credit_cap", "deadline", "size_policy", "allow_extra")
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
        allow_extra=field("allow_extra", frozenset[str](), _names),
    )
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
