"""Virtual times for weighted fair queueing: what each class and owner was given, for its weight."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from worker.core.rules.batch_request import Priority

_K = TypeVar("_K")

CLASS_WEIGHTS: Mapping[Priority, int] = {
    Priority.INTERACTIVE: 16,
    Priority.REFRESH: 4,
    Priority.BULK: 1,
}
"""How requests are shared while every class has work; a class always gets at least its part of their sum."""


@dataclass(frozen=True, kw_only=True)
class VirtualTimes:
    """Virtual times: what was given, divided by the weight. The smallest is served first."""

    classes: Mapping[Priority, float] = field(default_factory=dict)
    owners: Mapping[Priority, Mapping[str, float]] = field(default_factory=dict)
    """Of each class the owners that had something to do in the last round; all have the same weight."""


def classes_at_work(virtual_times: VirtualTimes, at_work: Collection[Priority]) -> dict[Priority, float]:
    """Return the time of every class, those at work lifted to less than a turn behind the one that has had most."""
    known = {p: virtual_times.classes.get(p, 0.0) for p in Priority}
    return known | caught_up({p: known[p] for p in at_work}, floor=max(known.values()) - 1.0)


def caught_up(times: Mapping[_K, float], *, floor: float | None = None) -> dict[_K, float]:
    """Lift every time to the largest of them, less one turn, or to the ``floor``.

    Those at work stay within a turn of each other, so only one that is new, or was idle, is lifted: it cannot claim
    what it did not use (start-time fair queueing).
    """
    if floor is None:
        floor = max(times.values(), default=0.0) - 1.0
    return {key: max(time, floor) for key, time in times.items()}
