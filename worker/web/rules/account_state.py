"""An account's state in one sentence: what it does, since when, until when, and what a person can do."""

from dataclasses import dataclass
from datetime import datetime

from worker.web.rules import wording


@dataclass(frozen=True, kw_only=True)
class AccountState:
    """A sentence, what follows, and how it is coloured: good, info, warn or bad."""

    tone: str
    says: str
    then: str


@dataclass(frozen=True, kw_only=True)
class AccountFacts:
    """What the sentence is made of; None: does not apply, or is not known."""

    pause_reason: str | None
    pause_message: str | None
    paused_at: datetime | None
    probe_at: datetime | None
    next_step: str
    """What a person can do about the pause."""
    blocked_until: datetime | None
    nodes: int
    open_jobs: int
    """Without those in paused batches."""
    held_back: int
    """Jobs that wait in paused batches."""
    images_per_s: float
    limit_per_s: float
    left_s: float | None
    last_ended_at: datetime | None


def describe(facts: AccountFacts, *, now: datetime) -> AccountState:
    """Return the state: a pause first, then a closed key, missing nodes, nothing to do, and work."""
    if facts.pause_reason is not None:
        return _paused(facts, now)
    if facts.blocked_until is not None:
        return AccountState(
            tone="warn",
            says=f"Closed by the provider until {wording.instant(facts.blocked_until)}"
            f" ({wording.until(facts.blocked_until, now)}).",
            then="Work resumes then by itself, or at once with `darkroom account resume`.",
        )
    images = wording.plural(facts.open_jobs, "image")
    if not facts.open_jobs:
        then = (
            f"{wording.plural(facts.held_back, 'image')} in paused batches." if facts.held_back else "Nothing is open."
        )
        return AccountState(tone="good", says=f"Idle{_since_last(facts, now)}.", then=then)
    if not facts.nodes:
        return AccountState(
            tone="bad",
            says=f"No worker node runs, and {images} {'waits' if facts.open_jobs == 1 else 'wait'}.",
            then="Start one with `darkroom up`, or see `darkroom doctor`.",
        )
    left = "" if facts.left_s is None else f", about {wording.span(facts.left_s)} of work at this limit"
    return AccountState(
        tone="info",
        says=f"Rendering {wording.rate(facts.images_per_s)} images/s,"
        f" of about {wording.rate(facts.limit_per_s)}/s that its limit allows.",
        then=f"{images} open{left}.",
    )


def _paused(facts: AccountFacts, now: datetime) -> AccountState:
    reason = str(facts.pause_reason).replace("_", " ")
    words = f" ({facts.pause_message})" if facts.pause_message else ""
    look = "" if facts.probe_at is None else f" The next look is due {wording.until(facts.probe_at, now)}."
    return AccountState(
        tone="warn" if facts.pause_reason == "operator" else "bad",
        says=f"Paused since {wording.instant(facts.paused_at)} ({wording.ago(facts.paused_at, now)}): {reason}{words}.",
        then=f"Next step: {facts.next_step}.{look}",
    )


def _since_last(facts: AccountFacts, now: datetime) -> str:
    return "" if facts.last_ended_at is None else f" since the last image ended {wording.ago(facts.last_ended_at, now)}"
