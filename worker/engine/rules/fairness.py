"""Weighted fair queueing: between classes, then owners, then batches; and each class's part of the window."""

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from worker.accounts.rules import virtual_times as memory
from worker.accounts.rules.virtual_times import CLASS_WEIGHTS, VirtualTimes
from worker.core.rules.batch_request import Priority


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One batch with pending jobs, as the dispatcher sees it."""

    batch_id: UUID
    owner: str
    priority: Priority
    weight: int
    """1 or more; twice the weight is twice the share of what the owner gets inside the class."""
    virtual_time: float
    """Admissions so far, divided by the weight; the smallest is served first."""
    room: int
    """How many of its jobs may be admitted now, at the most."""


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """How many due steps of each class to hand out, how many jobs of each batch to admit, and the times after it."""

    due: Mapping[Priority, int]
    jobs: Mapping[UUID, int]
    batch_times: Mapping[UUID, float]
    virtual_times: VirtualTimes


def allocate(
    candidates: Sequence[Candidate],
    virtual_times: VirtualTimes,
    slots: int,
    *,
    due: Mapping[Priority, int] | None = None,
    rooms: Mapping[Priority, int] | None = None,
) -> Allocation:
    """Allocate the slots one by one to the class, then the owner, then the batch with the lowest virtual time.

    ``due`` steps of a class come before its admissions: what is begun is finished first. ``rooms`` is what the
    window has left (``window.rooms``); None: it has no end. A batch that returns
    after a pause starts level with the others.
    """
    round_ = _Round(candidates, virtual_times, due or {}, rooms)
    for _ in range(slots):
        if not round_.serve_next():
            break
    return round_.allocation()


class _Round:
    """What is left to give in one round, and what was given."""

    def __init__(
        self,
        candidates: Sequence[Candidate],
        virtual_times: VirtualTimes,
        due: Mapping[Priority, int],
        rooms: Mapping[Priority, int] | None,
    ) -> None:
        hungry = [c for c in candidates if c.room > 0]
        self._due = {p: count for p, count in due.items() if count > 0}
        self._rooms = None if rooms is None else dict(rooms)
        self._classes = memory.classes_at_work(virtual_times, {c.priority for c in hungry} | self._due.keys())
        self._lines = {
            p: _Line([c for c in hungry if c.priority is p], virtual_times.owners.get(p, {})) for p in Priority
        }
        self._given_due: dict[Priority, int] = defaultdict(int)

    def serve_next(self) -> bool:
        """Give one slot away; False when no candidate can use it."""
        able = [p for p in Priority if self._due.get(p, 0) or self._may_admit(p)]
        if not able:
            return False
        chosen = min(able, key=lambda p: (self._classes[p], -CLASS_WEIGHTS[p]))
        self._classes[chosen] += 1 / CLASS_WEIGHTS[chosen]
        if self._due.get(chosen, 0):
            self._due[chosen] -= 1
            self._given_due[chosen] += 1
        else:
            self._lines[chosen].serve_next()
            self._take_room(chosen)
        return True

    def allocation(self) -> Allocation:
        """Sum up."""
        lines = self._lines
        return Allocation(
            due=dict(self._given_due),
            jobs={batch: count for line in lines.values() for batch, count in line.given.items()},
            batch_times={batch: line.times[batch] for line in lines.values() for batch in line.given},
            virtual_times=VirtualTimes(
                classes=self._classes, owners={p: line.owners for p, line in lines.items() if line.owners}
            ),
        )

    def _may_admit(self, priority: Priority) -> bool:
        has_room = self._rooms is None or room_of(priority, self._rooms) > 0
        return has_room and self._lines[priority].is_waiting

    def _take_room(self, priority: Priority) -> None:
        if self._rooms is not None:
            for above in at_and_above(priority):
                self._rooms[above] -= 1


class _Line:
    """The batches of one class: a heap of owners, and for each owner a heap of batches.

    Ties go to the owner with the older batch, and to the older batch (ids are ordered by time).
    """

    def __init__(self, candidates: Sequence[Candidate], owners: Mapping[str, float]) -> None:
        self._candidates = {c.batch_id: c for c in candidates}
        self._left = {c.batch_id: c.room for c in candidates}
        self.owners = memory.caught_up({c.owner: owners.get(c.owner, 0.0) for c in candidates})
        self.times: dict[UUID, float] = {}
        self.given: dict[UUID, int] = {}
        by_owner: dict[str, list[Candidate]] = defaultdict(list)
        for candidate in candidates:
            by_owner[candidate.owner].append(candidate)
        self._batches = {owner: self._heap(theirs) for owner, theirs in by_owner.items()}
        self._owners = [(time, min(id_ for _, id_ in self._batches[o]), o) for o, time in self.owners.items()]
        heapq.heapify(self._owners)

    @property
    def is_waiting(self) -> bool:
        """Whether any batch could still use a slot."""
        return bool(self._owners)

    def serve_next(self) -> None:
        """Give one slot to the owner, then the batch, with the lowest virtual time."""
        _, oldest, owner = self._owners[0]
        self._serve(self._batches[owner])
        self.owners[owner] += 1.0
        if self._batches[owner]:
            heapq.heapreplace(self._owners, (self.owners[owner], oldest, owner))
        else:
            heapq.heappop(self._owners)

    def _serve(self, batches: list[tuple[float, UUID]]) -> None:
        _, batch_id = batches[0]
        self._left[batch_id] -= 1
        self.given[batch_id] = self.given.get(batch_id, 0) + 1
        self.times[batch_id] += 1 / self._candidates[batch_id].weight
        if self._left[batch_id]:
            heapq.heapreplace(batches, (self.times[batch_id], batch_id))
        else:
            heapq.heappop(batches)

    def _heap(self, candidates: Sequence[Candidate]) -> list[tuple[float, UUID]]:
        times = memory.caught_up({c.batch_id: c.virtual_time for c in candidates})
        self.times.update(times)
        heap = [(time, batch_id) for batch_id, time in times.items()]
        heapq.heapify(heap)
        return heap


BY_RANK = (Priority.INTERACTIVE, Priority.REFRESH, Priority.BULK)
"""The classes, the most urgent first."""
KEPT_PART = 20
"""Each class leaves one twentieth of the window free for each class above it.

An interactive image must not wait for the end of a bulk one; and what is kept is so little
that a window full of bulk jobs is hardly slower for it.
"""


def rooms(max_in_flight: int, in_flight: Mapping[Priority, int]) -> dict[Priority, int]:
    """Return for each class how many more generations it and those below it may open together.

    Only its own kind and what is less urgent counts against a class, so that urgent work in plenty does not shut the
    others out: what ends is shared in turn.
    """
    kept = max_in_flight // KEPT_PART
    found, below = {}, sum(in_flight.values())
    for rank, priority in enumerate(BY_RANK):
        found[priority] = max_in_flight - kept * rank - below
        below -= in_flight.get(priority, 0)
    return found


def room_of(priority: Priority, left: Mapping[Priority, int]) -> int:
    """Return how many more the class may open: as many as fit into its own room and those of the classes above it."""
    return max(0, min(left[above] for above in at_and_above(priority)))


def at_and_above(priority: Priority) -> tuple[Priority, ...]:
    """Return the class and all more urgent ones, whose shares of the window a generation of it uses."""
    return BY_RANK[: BY_RANK.index(priority) + 1]
