"""How much of the window of open generations each priority class may fill."""

from collections.abc import Mapping

from worker.core.rules.batch_request import Priority

BY_RANK = (Priority.INTERACTIVE, Priority.REFRESH, Priority.BULK)
"""The classes, the most urgent first."""

KEPT_PART = 20
"""Each class leaves one twentieth of the window free for each class above it.

An image that somebody waits for must not wait for the end of one that nobody waits for; and what is kept is so little
that a window full of bulk jobs is hardly slower for it.
"""


def rooms(max_in_flight: int, in_flight: Mapping[Priority, int]) -> dict[Priority, int]:
    """Return for each class how many more generations it and those below it may open together.

    Only its own kind and what is less urgent counts against a class, so that urgent work in plenty does not shut the
    others out: what ends is shared by turns.
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
    """Return the class and all that are more urgent: whose rooms a generation of it takes up."""
    return BY_RANK[: BY_RANK.index(priority) + 1]
