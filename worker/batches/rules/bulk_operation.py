"""The states of bulk operations and of their items."""

from enum import StrEnum


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
    """What came of one batch of a bulk operation."""

    WAITING = "waiting"
    DONE = "done"
    SKIPPED = "skipped"
    """The batch was no longer as the preview showed it, the action was refused, or the operation cancelled."""
    FAILED = "failed"
    """An error of the program; the batch is as it was."""
