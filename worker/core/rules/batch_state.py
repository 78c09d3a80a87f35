"""Where a batch can stand by decision of its owner, and what may be done with it there."""

from enum import StrEnum
from uuid import UUID


class BatchState(StrEnum):
    """What the owner or the validation decided about a batch; whether it is done follows from its jobs."""

    OPEN = "open"
    """Its pending jobs are admitted in their turn."""
    PAUSED = "paused"
    """Its owner holds it back: nothing more is admitted until it is resumed; what is begun goes on."""
    CANCELLED = "cancelled"
    """Nothing more is admitted; what is at the provider is downloaded."""
    REFUSED = "refused"
    """It had faults and was not taken; it has no jobs."""


class BatchAction(StrEnum):
    """What a person may do with batches that are not over."""

    PAUSE = "pause"
    """Begin nothing more for now."""
    RESUME = "resume"
    """Go on with what was paused."""
    REPRIORITISE = "reprioritise"
    """Have its turn in another class, or with another weight."""
    CANCEL = "cancel"
    """Begin nothing more ever."""


ACTS_ON: dict[BatchAction, frozenset[BatchState]] = {
    BatchAction.PAUSE: frozenset({BatchState.OPEN}),
    BatchAction.RESUME: frozenset({BatchState.PAUSED}),
    BatchAction.REPRIORITISE: frozenset({BatchState.OPEN, BatchState.PAUSED}),
    BatchAction.CANCEL: frozenset({BatchState.OPEN, BatchState.PAUSED}),
}
"""The states in which an action means something; in every other one it is refused with a reason."""


LEADS_TO: dict[BatchAction, BatchState] = {
    BatchAction.PAUSE: BatchState.PAUSED,
    BatchAction.RESUME: BatchState.OPEN,
    BatchAction.CANCEL: BatchState.CANCELLED,
}
"""The state after an action; one that is not here leaves the state as it is."""


class ActionRefused(Exception):
    """The batch is in a state in which the action means nothing; nothing was changed."""

    def __init__(self, batch_id: UUID, action: BatchAction, state: BatchState) -> None:
        """Keep what was to be done with which batch, and where it stands."""
        super().__init__(batch_id, action, state)
        self.batch_id = batch_id
        self.action = action
        self.state = state

    def __str__(self) -> str:
        """Return the message, with the next step."""
        return f"batch {self.batch_id} is {self.state} and cannot be {_DONE[self.action]}: {self._next_step()}"

    def _next_step(self) -> str:
        match self.state:
            case BatchState.CANCELLED:
                again = f"`darkroom retry {self.batch_id}` retries its failed jobs"
                return f"{again}; to render the cancelled ones, submit them again under another token"
            case BatchState.REFUSED:
                return f"it has no jobs, and `darkroom status {self.batch_id}` says why"
            case BatchState.PAUSED:
                return f"`darkroom resume {self.batch_id}` continues it"
            case BatchState.OPEN:
                return f"it is not paused; `darkroom status {self.batch_id}` says what it waits for"


_DONE: dict[BatchAction, str] = {
    BatchAction.PAUSE: "paused",
    BatchAction.RESUME: "resumed",
    BatchAction.REPRIORITISE: "given another priority",
    BatchAction.CANCEL: "cancelled",
}
