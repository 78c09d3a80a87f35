"""States of batches, jobs and generations, the steps of a job, and which event leads from one state to the next."""

from datetime import timedelta
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from worker.core.rules.errors import DarkroomError


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
    """Perhaps paid, perhaps not: its hold stays until a person resolves it."""


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
    """It is unknown whether the provider charged for it."""
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


ENDED_JOBS = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.IN_DOUBT})
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
    """The event is not legal in the job's state."""

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


class GenerationState(StrEnum):
    """Where one paid attempt stands."""

    HELD = "held"
    """Credits are held; not a byte was sent."""
    SENDING = "sending"
    """Key and body are committed, and may have been sent; only they may be sent again."""
    ACCEPTED = "accepted"
    """The provider gave it an id; its figure is reserved."""
    SUCCEEDED = "succeeded"
    """The provider finished it; its final credits are spent."""
    FAILED = "failed"
    """The provider ended it without an image; what it charged is spent and the rest released."""
    REFUSED = "refused"
    """The provider did not take it; its hold is void."""
    VOID = "void"
    """Given up before anything was sent, or when the account was paused; its hold is void."""
    IN_DOUBT = "in_doubt"
    """Whether it was charged is not known; what it holds stays."""

    @property
    def has_ended(self) -> bool:
        """Whether the cost is final."""
        return self not in LIVE_GENERATIONS and self is not GenerationState.IN_DOUBT


LIVE_GENERATIONS = frozenset({GenerationState.HELD, GenerationState.SENDING, GenerationState.ACCEPTED})
"""The states in which more will happen by itself."""


class StepKind(StrEnum):
    """The next outside effect of a job; each has a Celery task and a queue of the same name."""

    UPLOAD = "upload"
    """Give the provider the reference image."""
    SUBMIT = "submit"
    """Create the paid generation."""
    POLL = "poll"
    """Ask whether it has ended."""
    COLLECT = "collect"
    """Download the image."""


WRITES = (StepKind.UPLOAD, StepKind.SUBMIT)
"""Steps that send something to the provider, up to the create."""
READS = tuple(kind for kind in StepKind if kind not in WRITES)
"""All others: they only ask for what the provider has made."""

HTTP_CONNECT = timedelta(seconds=5)
"""The longest wait for a connection to the provider."""
HTTP_SEND = timedelta(seconds=45)
"""The longest time for sending a reference: 10 MB at a quarter of a megabyte a second."""
HTTP_READ = timedelta(seconds=15)
"""The longest wait between two bytes of an answer."""
HTTP_TOTAL = timedelta(seconds=40)
"""The longest time for a whole call: connecting, sending and reading its answer share it."""
COLLECT_TOTAL = timedelta(seconds=60)
"""The longest time for downloading one image."""
COLLECT_WAIT = timedelta(seconds=20)
"""The longest time for which an image that a worker has waits for a thread."""
CALL_TIMEOUT = HTTP_TOTAL
"""The longest time for a whole call that sends little."""
LEASES: dict[StepKind, timedelta] = {
    StepKind.UPLOAD: CALL_TIMEOUT + HTTP_SEND + timedelta(seconds=35),
    StepKind.SUBMIT: CALL_TIMEOUT + timedelta(seconds=5),
    StepKind.POLL: CALL_TIMEOUT + timedelta(seconds=5),
    StepKind.COLLECT: COLLECT_WAIT + CALL_TIMEOUT + COLLECT_TOTAL + timedelta(seconds=10),
}
"""How long a worker owns a step that it has claimed.

Each is longer than the slowest calls inside it, so that a step is never done twice at once unless a worker has stood
still for so long that its fence is stale.
"""
QUEUED_LEASE = timedelta(seconds=20)
"""How long a message may lie in the broker before the dispatcher takes the step for lost."""


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
    """What a person may do with active batches."""

    PAUSE = "pause"
    """Begin nothing more for now."""
    RESUME = "resume"
    """Go on with what was paused."""
    REPRIORITISE = "reprioritise"
    """Have its turn in another class, or with another weight."""
    CANCEL = "cancel"
    """Begin nothing more ever."""
    RETRY = "retry"
    """Ask for the failed jobs again."""


ACTS_ON: dict[BatchAction, frozenset[BatchState]] = {
    BatchAction.PAUSE: frozenset({BatchState.OPEN}),
    BatchAction.RESUME: frozenset({BatchState.PAUSED}),
    BatchAction.REPRIORITISE: frozenset({BatchState.OPEN, BatchState.PAUSED}),
    BatchAction.CANCEL: frozenset({BatchState.OPEN, BatchState.PAUSED}),
    BatchAction.RETRY: frozenset({BatchState.OPEN, BatchState.PAUSED}),
}
"""The states in which an action means something; in every other one it is refused with a reason."""
LEADS_TO: dict[BatchAction, BatchState] = {
    BatchAction.PAUSE: BatchState.PAUSED,
    BatchAction.RESUME: BatchState.OPEN,
    BatchAction.CANCEL: BatchState.CANCELLED,
}
"""The state after an action; one that is not here leaves the state as it is."""


class ActionRefused(DarkroomError):
    """The action does not apply to the batch's state; nothing was changed."""

    error_code = "batch_action_not_possible"

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
            case _:
                assert_never(self.state)


_DONE: dict[BatchAction, str] = {
    BatchAction.PAUSE: "paused",
    BatchAction.RESUME: "resumed",
    BatchAction.REPRIORITISE: "given another priority",
    BatchAction.CANCEL: "cancelled",
    BatchAction.RETRY: "retried",
}
