"""An outside call: what was asked of the provider when, and what came back."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from worker.core.rules.errors import (
    AccountPaused,
    Conflict,
    NotFound,
    OutcomeUnknown,
    ProviderError,
    Refused,
    Throttled,
    Unavailable,
)


class CallKind(StrEnum):
    """What was asked."""

    CREATE = "create"
    """A paid generation."""
    GET = "get"
    """How a generation stands."""
    UPLOAD = "upload"
    """To take a reference image."""
    DOWNLOAD = "download"
    """The bytes of a result, from the address that the provider gave."""
    CREDITS = "credits"
    """The balance of the wallet."""
    MODELS = "models"
    """Which models there are."""


class CallOutcome(StrEnum):
    """The outcome of a call, named as the error that it becomes."""

    OK = "ok"
    """What was asked for."""
    REFUSED = "refused"
    """The provider will never take it."""
    NOT_FOUND = "not_found"
    """The provider does not know the object."""
    CONFLICT = "conflict"
    """The idempotency key is taken."""
    THROTTLED = "throttled"
    """Too many requests."""
    PAUSED = "paused"
    """The account cannot pay or may not call."""
    UNAVAILABLE = "unavailable"
    """Nothing was done."""
    UNKNOWN = "unknown"
    """It may have been carried out."""


_BY_ERROR: tuple[tuple[type[ProviderError], CallOutcome], ...] = (
    (Refused, CallOutcome.REFUSED),
    (NotFound, CallOutcome.NOT_FOUND),
    (Conflict, CallOutcome.CONFLICT),
    (Throttled, CallOutcome.THROTTLED),
    (AccountPaused, CallOutcome.PAUSED),
    (Unavailable, CallOutcome.UNAVAILABLE),
    (OutcomeUnknown, CallOutcome.UNKNOWN),
)


def outcome_of(error: ProviderError) -> CallOutcome:
    """Return the outcome for an error; an unknown class leaves the outcome unknown."""
    return next((word for kind, word in _BY_ERROR if isinstance(error, kind)), CallOutcome.UNKNOWN)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call, sent once; what is None was not answered, or does not apply."""

    kind: CallKind
    started_at: datetime
    ended_at: datetime | None
    """None: the process that sent it died before an answer came."""
    outcome: CallOutcome
    http_status: int | None = None
    code: str | None = None
    """The error's code; of a ``get`` and a ``create`` that were answered, the generation's status."""
    message: str | None = None
    """The provider's words, when it was not what was asked for."""
    request_id: str | None = None
    provider_id: str | None = None
    """The id that the provider gave in its answer to a ``create`` or an ``upload``."""
    send: int | None = None
    """Of a ``create``: which copy of the request it was, from 1."""
    size_bytes: int | None = None
    """Of an image that was sent or fetched."""
    is_late: bool = False
    """Whether the answer came when the step had gone on without it, so that nothing followed from it."""


def failed(call: Call, error: ProviderError) -> Call:
    """Return the call with the error as its outcome."""
    return replace(
        call,
        outcome=outcome_of(error),
        http_status=error.status,
        code=error.code,
        message=error.message or None,
        request_id=error.request_id,
    )
