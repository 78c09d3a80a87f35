"""Which states one paid attempt can be in, and what its state says about the ledger."""

from enum import StrEnum


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
        """Whether it is known what it has cost."""
        return self not in LIVE and self is not GenerationState.IN_DOUBT


LIVE = frozenset({GenerationState.HELD, GenerationState.SENDING, GenerationState.ACCEPTED})
"""The states in which more will happen by itself."""
