"""What a person's decision about a generation in doubt needs, and why it may not be taken."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from worker.core.rules.errors import DarkroomError
from worker.core.rules.states import GenerationState


class NotInDoubt(DarkroomError):
    """The generation is not in doubt, or no longer; nothing was changed."""

    error_code = "not_in_doubt"

    def __init__(self, generation_id: UUID, state: GenerationState | None) -> None:
        """Keep which one, and how it stands; None: there is no such generation."""
        super().__init__(generation_id, state)
        self.generation_id = generation_id
        self.state = state

    def __str__(self) -> str:
        """Return the message, with the next step."""
        how = "does not exist" if self.state is None else f"is {self.state}, not in doubt"
        return f"the generation {self.generation_id} {how}: `darkroom audit in-doubt` lists those that are"


class NotEnded(DarkroomError):
    """The generation has not ended, so that its cost cannot be corrected; nothing was changed."""

    error_code = "generation_not_ended"

    def __init__(self, generation_id: UUID, state: GenerationState) -> None:
        """Keep which one, and how it stands."""
        super().__init__(generation_id, state)
        self.generation_id = generation_id
        self.state = state

    def __str__(self) -> str:
        """Return the message, with the next step."""
        is_doubt = self.state is GenerationState.IN_DOUBT
        step = "`darkroom resolve` decides about it" if is_doubt else "only one that has ended can be corrected"
        return f"the generation {self.generation_id} is {self.state}: {step}"


class TooMuch(DarkroomError):
    """The stated charge exceeds what was held or reserved; nothing was changed."""

    error_code = "correction_too_large"

    def __init__(self, charged: int, expected: int) -> None:
        """Keep both figures."""
        super().__init__(charged, expected)
        self.charged = charged
        self.expected = expected

    def __str__(self) -> str:
        """Return the message, with the next step."""
        return (
            f"{self.charged:,} credits are more than the {self.expected:,} that were held or reserved:"
            " if the provider charged that much, say so with --over"
        )


class UnfitTask(DarkroomError):
    """The task at the provider cannot be the one that this generation made; nothing was changed."""

    error_code = "task_does_not_match"

    def __init__(self, provider_id: str, reason: str) -> None:
        """Keep which task, and why not."""
        super().__init__(provider_id, reason)
        self.provider_id = provider_id
        self.reason = reason

    def __str__(self) -> str:
        """Return the message."""
        return f"the task {self.provider_id} cannot be adopted: {self.reason}"


CLOCKS_DISAGREE = timedelta(minutes=5)
"""The provider's clock and ours may be so far apart; a minute would be much."""


@dataclass(frozen=True, kw_only=True)
class Sendings:
    """The time in which the provider can have made a task of a generation: from its first send to its last answer."""

    first_at: datetime
    last_at: datetime
    call: timedelta
    """How long the last send may have been under way."""

    def can_have_made(self, created_at: datetime) -> bool:
        """Whether a task that was created at this instant may be one of them."""
        begins_at, ends_at = self.first_at - CLOCKS_DISAGREE, self.last_at + self.call + CLOCKS_DISAGREE
        return begins_at <= created_at <= ends_at

    def __str__(self) -> str:
        """Return it as a person reads it."""
        return f"{self.first_at:%Y-%m-%d %H:%M:%S} to {self.last_at + self.call:%Y-%m-%d %H:%M:%S} UTC"


@dataclass(frozen=True, kw_only=True)
class Signature:
    """Who decided, and why; both are kept with every entry that follows from it."""

    actor: str
    reason: str

    def __post_init__(self) -> None:
        """Refuse an empty one."""
        if not self.actor.strip() or not self.reason.strip():
            raise ValueError("a decision about money needs a name and a reason")
