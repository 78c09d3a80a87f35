"""Whose jobs are admitted next: weighted shares between classes, then between the batches of a class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from worker.domain.request import Priority

CLASS_WEIGHTS: Mapping[Priority, int] = {
    Priority.INTERACTIVE: 16,
    Priority.REFRESH: 4,
    Priority.BULK: 1,
}
"""How admissions are shared while every class has work; a class always gets at least its part."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One batch with pending jobs, as the dispatcher sees it."""

    batch_id: UUID
    priority: Priority
    weight: int
    """1 or more; twice the weight is twice the share inside the class."""
    virtual_time: float
    """Admissions so far, divided by the weight; the smallest is served first."""
    room: int
    """How many of its jobs may be admitted now, at the most."""


@dataclass(frozen=True, kw_only=True)
class Allotment:
    """How many jobs of each batch to admit, and the virtual times after it."""

    jobs: Mapping[UUID, int]
    batch_times: Mapping[UUID, float]
    class_times: Mapping[Priority, float]


def allot(claims: Sequence[Claim], class_times: Mapping[Priority, float], slots: int) -> Allotment:
    """Share the slots out one by one to the class, then the batch, that has had the least for its weight.

    A class or batch that comes back after a pause starts at the smallest time of those at work, so that it cannot
    claim what it did not use (start-time fair queueing).
    """
    classes = _caught_up(class_times, {c.priority for c in claims if c.room > 0})
    times = _caught_up_batches(claims)
    left = {c.batch_id: c.room for c in claims}
    given: dict[UUID, int] = {}
    for _ in range(slots):
        chosen = _next(claims, classes, times, left)
        if chosen is None:
            break
        left[chosen.batch_id] -= 1
        given[chosen.batch_id] = given.get(chosen.batch_id, 0) + 1
        times[chosen.batch_id] += 1 / chosen.weight
        classes[chosen.priority] += 1 / CLASS_WEIGHTS[chosen.priority]
    return Allotment(jobs=given, batch_times={b: times[b] for b in given}, class_times=classes)


def _next(
    claims: Sequence[Claim],
    classes: Mapping[Priority, float],
    times: Mapping[UUID, float],
    left: Mapping[UUID, int],
) -> Claim | None:
    """Choose the claim that has had the least; ties go to the older batch (ids are ordered by time)."""
    hungry = [c for c in claims if left[c.batch_id] > 0]
    if not hungry:
        return None
    return min(hungry, key=lambda c: (classes[c.priority], c.priority, times[c.batch_id], c.batch_id))


def _caught_up(times: Mapping[Priority, float], at_work: set[Priority]) -> dict[Priority, float]:
    """Lift every class to the smallest time of the classes at work, less one turn."""
    known = {p: times.get(p, 0.0) for p in Priority}
    floor = max((known[p] for p in Priority), default=0.0) - 1.0
    return {p: max(t, floor) if p in at_work else t for p, t in known.items()}


def _caught_up_batches(claims: Sequence[Claim]) -> dict[UUID, float]:
    """Lift every batch with work to the largest time of those in its class, less one turn.

    Batches at work stay within a turn of each other, so only one that is new, or was idle, is lifted.
    """
    times = {c.batch_id: c.virtual_time for c in claims}
    for priority in Priority:
        hungry = [c for c in claims if c.priority is priority and c.room > 0]
        floor = max((c.virtual_time for c in hungry), default=0.0) - 1.0
        times.update({c.batch_id: max(c.virtual_time, floor) for c in hungry})
    return times
