"""Which of the provider's codes say that it refuses the content of a request: asking again would change nothing."""

from collections.abc import Iterable

CODE = "content_refused"
"""The failure of a job whose prompt or reference the provider refuses for its content."""

DEFAULT = frozenset(
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

NONE = "none"
"""Said instead of a list: no code is taken for one of these."""


def read(listed: str) -> frozenset[str]:
    """Read codes that are separated by commas, in whatever case; ``none`` is the empty list."""
    codes = _folded(listed.split(","))
    return frozenset() if codes == {NONE} else codes


def is_content(code: str | None, codes: frozenset[str]) -> bool:
    """Return whether a code of the provider's is one of them, whatever its case."""
    return code is not None and code.strip().casefold() in codes


def words(code: str, message: str) -> str:
    """Return what a person is told: the provider's own code, and its words."""
    return f"{code}: {message}" if message else code


def _folded(codes: Iterable[str]) -> frozenset[str]:
    return frozenset(folded for code in codes if (folded := code.strip().casefold()))
