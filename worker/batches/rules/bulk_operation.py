"""Bulk operations: the filter that says which batches are meant, and the states of operations and of their items."""

import re
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum

from worker.core.rules.batch_request import Priority, Purpose


class BulkAction(StrEnum):
    """What a bulk operation does to each of its items."""

    PAUSE = "pause"
    RESUME = "resume"
    REPRIORITISE = "reprioritise"
    CANCEL = "cancel"
    RETRY = "retry"
    DECIDE = "decide"
    """Save a decision on an image of a catalog; the others act on batches, see `BatchAction`."""


class OperationState(StrEnum):
    """Where a bulk operation stands."""

    PREVIEWED = "previewed"
    """Its batches and what it would reach are frozen; nothing is done before it is started."""
    RUNNING = "running"
    """Its items are done one after the other."""
    DONE = "done"
    """Every item has been looked at."""
    CANCELLED = "cancelled"
    """It was stopped: what is done stays done, what was not is skipped."""


class ItemState(StrEnum):
    """The outcome of one batch of a bulk operation."""

    WAITING = "waiting"
    DONE = "done"
    SKIPPED = "skipped"
    """The batch was no longer as the preview showed it, the action was refused, or the operation cancelled."""
    FAILED = "failed"
    """An error of the program; the batch is as it was."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Conditions that select batches; None: no condition."""

    owner: str | None = None
    name: str | None = None
    """A pattern: ``*`` stands for any characters, ``?`` for one."""
    purpose: Purpose | None = None
    priority: Priority | None = None
    since: datetime | None = None
    """Submitted at this instant or later."""
    before: datetime | None = None
    """Submitted before this instant."""

    @property
    def is_empty(self) -> bool:
        """Return whether no condition is set; such a selection matches every batch."""
        return not self._asked()

    def as_json(self) -> dict[str, object]:
        """Return the conditions; ``{"all": true}`` without any, so that an empty filter is never stored by accident."""
        found = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in self._asked()}
        return found or {"all": True}

    def _asked(self) -> list[tuple[str, object]]:
        found = ((field.name, getattr(self, field.name)) for field in fields(self))
        return [(name, value) for name, value in found if value is not None]


_SPECIAL = re.compile(r"[\\%_*?]")
_LIKE = {"*": "%", "?": "_"}


def like(pattern: str) -> str:
    """Translate the pattern to SQL's LIKE; every character but ``*`` and ``?`` is literal."""
    return _SPECIAL.sub(lambda found: _LIKE.get(found.group(), "\\" + found.group()), pattern)
