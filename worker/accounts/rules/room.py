"""Which account of a pool has the most room."""

from collections.abc import Sequence
from typing import Protocol, TypeVar


class HasRoom(Protocol):
    """What is known of an account that is chosen from others."""

    @property
    def name(self) -> str:
        """Decides between equals."""

    @property
    def is_open(self) -> bool:
        """Whether it is neither paused nor closed by a 429."""

    @property
    def rate(self) -> float:
        """Requests per second."""

    @property
    def waiting(self) -> int:
        """Jobs that it has to do."""


A = TypeVar("A", bound=HasRoom)


def most_room(accounts: Sequence[A], *, jobs: int) -> A:
    """Return the account that would be done first with so many jobs more; a paused one only where all are."""
    return min(accounts, key=lambda each: (not each.is_open, (each.waiting + jobs) / each.rate, each.name))
