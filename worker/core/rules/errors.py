"""Errors of outside calls, named by what the caller may do next; reasons of pauses; codes that refuse content."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar


class PauseReason(StrEnum):
    """Why an account does no paid work for now; no job fails for any of these."""

    INSUFFICIENT_CREDITS = "insufficient_credits"
    """The wallet is empty; a top-up ends it."""
    API_KEY_MISSING = "api_key_missing"
    """The provider saw no key; a corrected configuration ends it."""
    API_KEY_INVALID = "api_key_invalid"
    """The provider does not know the key."""
    API_KEY_REVOKED = "api_key_revoked"
    """The key was withdrawn."""
    API_KEY_EXPIRED = "api_key_expired"
    """The key is past its validity."""
    API_SCOPE_DENIED = "api_scope_denied"
    """The key lacks a scope that the call needs."""
    PUBLIC_API_DISABLED = "public_api_disabled"
    """The provider has switched its public API off."""
    UNAUTHORIZED = "unauthorized"
    """A 401 or 403 with a code that is not known here."""
    RESULTS_UNREACHABLE = "results_unreachable"
    """Paid images cannot be downloaded; the first download that succeeds ends it."""
    PROVIDER_FAILING = "provider_failing"
    """Generations of many different prompts fail at the provider; a canary that succeeds ends it."""
    OUTCOMES_UNKNOWN = "outcomes_unknown"
    """Creates in a row ended without a usable answer; a canary that is accepted ends it."""
    STORE_UNAVAILABLE = "store_unavailable"
    """The store for references and images cannot be used; the first probe that it passes ends it."""
    OPERATOR = "operator"
    """A person paused the account; only a person resumes it."""

    @property
    def permits_reading(self) -> bool:
        """Whether what is already at the provider can still be polled and downloaded."""
        return self is PauseReason.INSUFFICIENT_CREDITS or not self.is_the_providers

    @property
    def ends_by_itself(self) -> bool:
        """Whether a probe may resume the account: the provider has to be asked whether it may go on."""
        return self.is_the_providers

    @property
    def sends_canaries(self) -> bool:
        """Whether one job at a time tries if the provider works again."""
        return self in {PauseReason.PROVIDER_FAILING, PauseReason.OUTCOMES_UNKNOWN}

    @property
    def is_the_providers(self) -> bool:
        """Whether it is for the provider to say."""
        return self not in {
            PauseReason.RESULTS_UNREACHABLE,
            PauseReason.PROVIDER_FAILING,
            PauseReason.OUTCOMES_UNKNOWN,
            PauseReason.STORE_UNAVAILABLE,
            PauseReason.OPERATOR,
        }


STORE_UNAVAILABLE = "store_unavailable"
"""With this begin the words of a step that waits for the store, or for the disk on the way to it."""


class DarkroomError(Exception):
    """An error that a person can act on; its text is one sentence, or one line for each fault.

    Signals between parts of the program, which are always caught, are plain exceptions.
    """

    error_code: ClassVar[str]
    """Stable, for programs; unlike the text it never changes."""
    exit_code: int = 1
    """With which a command ends: 1 when it failed, 2 for its usage and its configuration."""
    hint: ClassVar[str] = ""
    """The next step, when it is the same for every error of the class; others say it in the text."""

    def explanation(self) -> str:
        """Return the message and the next step."""
        return f"{self}; {self.hint}" if self.hint else str(self)


class ProviderError(DarkroomError):
    """A call to the provider failed; the subclass says what the caller may do next."""

    error_code = "provider_error"
    hint = "run `darkroom doctor`"

    def __init__(self, code: str, message: str = "", status: int | None = None, request_id: str | None = None) -> None:
        """Keep the provider's code and words; all arguments are positional so that the error pickles."""
        super().__init__(code, message, status, request_id)
        self.code = code
        self.message = message
        self.status = status
        self.request_id = request_id

    def __str__(self) -> str:
        """Return code, HTTP status, words and request id in one line."""
        status = "" if self.status is None else f" (HTTP {self.status})"
        words = f": {self.message}" if self.message else ""
        trace = f" [{self.request_id}]" if self.request_id else ""
        return f"{self.code}{status}{words}{trace}"

    def explanation(self) -> str:
        """Name the provider as the source of the text."""
        return f"the provider: {super().explanation()}"


class Refused(ProviderError):
    """The provider will never accept this request as it stands; nothing was charged."""


class ContentRefused(Refused):
    """The provider refuses the content of the request: its prompt or its reference."""


class NotFound(ProviderError):
    """The provider does not know the object, or it belongs to another account."""


class Conflict(ProviderError):
    """The idempotency key is taken by another request, or its first request is still under way."""


class Unavailable(ProviderError):
    """Nothing was done by the provider; the same call may be made again later."""


class OutcomeUnknown(ProviderError):
    """The request may have been carried out; only the same key and the same bytes may be sent again."""


class AccountPaused(ProviderError):
    """The account cannot pay or may not call; every job waits, none fails."""

    def __init__(
        self,
        reason: PauseReason,
        message: str = "",
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        """Keep the reason beside the provider's words."""
        super().__init__(reason, message, status, request_id)
        self.reason = reason


class ModelUnavailable(ProviderError):
    """The provider does not offer the model for now: jobs of this model wait, none fails."""

    def __init__(self, model: str, status: str, message: str = "", request_id: str | None = None) -> None:
        """Keep the model, and what the provider's list says of it."""
        super().__init__("model_unavailable", f"{model} is {status}: {message}", None, request_id)
        self.args = (model, status, message, request_id)
        self.model = model


class Throttled(ProviderError):
    """Too many requests: the key is closed for every worker until ``retry_after`` has passed."""

    def __init__(
        self,
        retry_after: timedelta | None,
        message: str = "",
        status: int | None = 429,
        request_id: str | None = None,
    ) -> None:
        """Keep the provider's wait; None when it named none."""
        super().__init__("rate_limited", message, status, request_id)
        self.args = (retry_after, message, status, request_id)
        self.retry_after = retry_after
        self.sent_at: datetime | None = None
        """When the request was sent, by the database's clock; set by the caller."""
        self.is_write = False
        """Whether it was a create or an upload; set by the caller."""


LONGEST_LINE = 300
"""Characters that are kept."""


def first_line(error: object) -> str:
    """Return the first line of the error's words, or its type where it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def with_type(error: BaseException) -> str:
    """Return the type and the first line of the error's words, cut to what is kept."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:LONGEST_LINE]


CONTENT_REFUSED = "content_refused"
"""The failure of a job whose prompt or reference the provider refuses for its content."""
REFUSED_CONTENT = frozenset(
    {
        "content_blocked",
        "content_filter",
        "content_filtered",
        "content_flagged",
        "content_moderation",
        "content_policy",
        "content_policy_violation",
        "content_refused",
        "content_rejected",
        "content_violation",
        "input_moderated",
        "moderation_blocked",
        "moderation_failed",
        "moderation_rejected",
        "nsfw",
        "nsfw_content",
        "nsfw_content_detected",
        "output_moderated",
        "policy_violation",
        "prompt_blocked",
        "prompt_rejected",
        "prohibited_content",
        "safety",
        "safety_blocked",
        "safety_violation",
        "sensitive_content",
        "sensitive_content_detected",
        "unsafe_content",
    }
)
"""What services of this kind call it; the provider documents no code of its own (provider contract, section 9)."""
NO_CONTENT_CODES = "none"
"""Said instead of a list: no code is taken for one of these."""


def parse_content_codes(listed: str) -> frozenset[str]:
    """Read codes that are separated by commas, in whatever case; ``none`` is the empty list."""
    codes = _folded(listed.split(","))
    return frozenset() if codes == {NO_CONTENT_CODES} else codes


def is_content_refusal(code: str | None, codes: frozenset[str]) -> bool:
    """Return whether a code of the provider's is one of them, whatever its case."""
    return code is not None and code.strip().casefold() in codes


def content_refusal_message(code: str, message: str) -> str:
    """Return the message for people: the provider's code and message."""
    return f"{code}: {message}" if message else code


def _folded(codes: Iterable[str]) -> frozenset[str]:
    return frozenset(folded for code in codes if (folded := code.strip().casefold()))
