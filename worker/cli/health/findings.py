"""What `darkroom doctor` found in one part: a verdict, what there is to say, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How one part is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One part, and what there is to say about it."""

    part: str
    verdict: Verdict
    detail: str
    next_step: str = ""


def ok(part: str, detail: str) -> Finding:
    """Return a part that works."""
    return Finding(part=part, verdict=Verdict.OK, detail=detail)


def warning(part: str, detail: str, next_step: str) -> Finding:
    """Return a part that needs attention."""
    return Finding(part=part, verdict=Verdict.WARNING, detail=detail, next_step=next_step)


def failed(part: str, detail: str, next_step: str) -> Finding:
    """Return a part that stops work."""
    return Finding(part=part, verdict=Verdict.FAILED, detail=detail, next_step=next_step)
