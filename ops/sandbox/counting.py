"""Counting as it happens: all of it so far, and the part that the journal has not seen."""

from typing import Any

from ops.sandbox.books import Counts
from ops.sandbox.choices import Kind
from ops.sandbox.tasks import Task


class Counting:
    """The counts of the whole life of the sandbox; what is new is handed to the journal now and then."""

    def __init__(self) -> None:
        self._saved = Counts()
        self._fresh = Counts()
        self._has_fresh = False

    @property
    def total(self) -> Counts:
        """Everything so far."""
        if self._has_fresh:
            return _sum(self._saved, self._fresh)
        return self._saved

    def answered(self, kind: Kind, how: str) -> None:
        """A request of this kind ended with this HTTP status, or with what happened instead of one."""
        self._fresh.requests[kind, how] += 1
        self._has_fresh = True

    def polled(self, task: Task, now: float) -> None:
        """Somebody was shown the state of a generation."""
        self._fresh.polls[task.id] += 1
        if task.has_ended(now):
            self._fresh.first_terminal_poll.setdefault(task.id, now)

    def uploaded(self, sha256: str) -> None:
        """These bytes came in as an upload."""
        self._fresh.uploads[sha256] += 1

    def downloaded(self, task: Task) -> None:
        """Somebody was given the result."""
        self._fresh.downloads[task.id] += 1

    def replayed(self) -> None:
        """A known Idempotency-Key was answered with what it stands for."""
        self._fresh.replays += 1

    def conflicted(self) -> None:
        """A known Idempotency-Key was refused."""
        self._fresh.conflicts += 1

    def unsaved(self) -> dict[str, Any] | None:
        """What was counted since the last call, which counts as saved now; None if that is nothing."""
        if not self._has_fresh:
            return None
        fresh = self._fresh.as_json()
        self._saved.add(self._fresh)
        self._fresh, self._has_fresh = Counts(), False
        return fresh

    def restore(self, counts: Counts) -> None:
        """Counts that an earlier process had saved."""
        self._saved.add(counts)


def _sum(one: Counts, other: Counts) -> Counts:
    total = Counts()
    total.add(one)
    total.add(other)
    return total
