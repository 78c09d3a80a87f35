"""Which states a job can be in, and which event leads from one to the next."""

from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands; what an active job does next is its step."""

    PENDING = "pending"
    """Waits to be admitted; it holds no credit."""
    ACTIVE = "active"
    """Has a generation with a hold, and a step that says what comes next."""
    SUCCEEDED = "succeeded"
    """Its image is in the store, checked and hashed, and its credits are settled."""
    FAILED = "failed"
    """Ended without an image; the failure says why."""
    CANCELLED = "cancelled"
    """Withdrawn before anything was sent for it."""
    IN_DOUBT = "in_doubt"
    """Perhaps paid, perhaps not: its hold stays until somebody decides."""


class JobEvent(StrEnum):
    """What can happen to a job."""

    ADMIT = "admit"
    """The dispatcher posted a hold and made a generation."""
    COLLECT = "collect"
    """The image is stored and checked."""
    FAIL = "fail"
    """No image will come of it."""
    CANCEL = "cancel"
    """Withdrawn by its owner."""
    DOUBT = "doubt"
    """Nobody can say whether the provider charged for it."""
    YIELD = "yield"
    """Back to the queue without a hold: the account is paused, or a free new try is allowed."""
    RETRY = "retry"
    """Asked for once more by its owner."""
    RECALL = "recall"
    """Its image is paid for, and is asked for once more by its owner, without a new generation."""
    ADOPT = "adopt"
    """A person found out which task at the provider is its own, or the provider says that it has ended."""
    RESOLVE = "resolve"
    """A person found out whether it was charged, and that no image will come of it."""


ENDED = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.IN_DOUBT})
"""The states in which nothing more happens by itself."""

TRANSITIONS: dict[tuple[JobState, JobEvent], JobState] = {
    (JobState.PENDING, JobEvent.ADMIT): JobState.ACTIVE,
    (JobState.PENDING, JobEvent.CANCEL): JobState.CANCELLED,
    (JobState.PENDING, JobEvent.FAIL): JobState.FAILED,
    (JobState.ACTIVE, JobEvent.COLLECT): JobState.SUCCEEDED,
    (JobState.ACTIVE, JobEvent.FAIL): JobState.FAILED,
    (JobState.ACTIVE, JobEvent.CANCEL): JobState.CANCELLED,
    (JobState.ACTIVE, JobEvent.DOUBT): JobState.IN_DOUBT,
    (JobState.ACTIVE, JobEvent.YIELD): JobState.PENDING,
    (JobState.FAILED, JobEvent.RETRY): JobState.PENDING,
    (JobState.FAILED, JobEvent.RECALL): JobState.ACTIVE,
    (JobState.CANCELLED, JobEvent.RETRY): JobState.PENDING,
    (JobState.IN_DOUBT, JobEvent.ADOPT): JobState.ACTIVE,
    (JobState.IN_DOUBT, JobEvent.RESOLVE): JobState.FAILED,
}
"""Every legal move; what is not here is a bug in the caller."""


class IllegalTransition(Exception):
    """A job was told something that cannot happen in its state."""

    def __init__(self, state: JobState, event: JobEvent) -> None:
        """Keep both sides of the contradiction."""
        super().__init__(state, event)
        self.state = state
        self.event = event

    def __str__(self) -> str:
        """Return which event met which state."""
        return f"a job that is {self.state} cannot take the event {self.event}"


def next_state(state: JobState, event: JobEvent) -> JobState:
    """Return the state after the event, or raise IllegalTransition."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(state, event) from None
