"""Readiness of a node: whether it makes progress, and the reason if it does not."""

from dataclasses import dataclass

STARTS_WITHIN_S = 30.0
"""A node that has completed no round for so long since its start is stalled, and no more starting."""
ROUND_WITHIN_S = 30.0
"""A dispatcher completes a round at least every second."""
TAKES_WITHIN_S = 60.0
"""Work that is overdue for so long, while the node takes none, is not being taken."""
SLOTS = 20.0
"""At a low rate a node is given a step rarely: the wait is that of so many slots at the least."""


@dataclass(frozen=True, kw_only=True)
class NodeFacts:
    """What a node knows of itself, and of the work that waits; all spans in seconds."""

    is_draining: bool
    up_s: float
    """Since its dispatcher began."""
    round_age_s: float | None
    """Since its last complete round; None: none yet."""
    error: str | None
    """Why the last round failed."""
    taken_age_s: float | None
    """Since a thread last took a message; None: none has."""
    are_threads_busy: bool
    """Whether every thread is at a message."""
    waiting_s: float | None
    """For how long the oldest step that may be done now is overdue; None: nothing waits, or the account is closed."""
    rate: float | None
    """Requests per second of the account; None: unknown."""
    database_error: str | None = None
    """Why the database could not be asked."""


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """The verdict: ``reason`` is one of ready, draining, starting, stalled, database and takes_nothing."""

    reason: str
    detail: str

    @property
    def is_ready(self) -> bool:
        """Whether the node makes progress."""
        return self.reason == "ready"


def judge(facts: NodeFacts) -> Readiness:
    """Return whether the node makes progress."""
    if facts.is_draining:
        return Readiness(reason="draining", detail="the node was told to end and finishes what it has begun")
    if facts.round_age_s is None and facts.up_s < STARTS_WITHIN_S and facts.error is None:
        return Readiness(reason="starting", detail="the dispatcher has completed no round yet")
    age_s = facts.up_s if facts.round_age_s is None else facts.round_age_s
    if facts.round_age_s is None or age_s > ROUND_WITHIN_S:
        words = f": {facts.error}" if facts.error else ""
        return Readiness(reason="stalled", detail=f"no dispatch round for {age_s:.0f} s{words}")
    if facts.database_error is not None:
        return Readiness(reason="database", detail=f"the database cannot be asked: {facts.database_error}")
    return _of_work(facts)


def _of_work(facts: NodeFacts) -> Readiness:
    limit_s = max(TAKES_WITHIN_S, SLOTS / facts.rate if facts.rate else 0.0)
    idle_s = facts.up_s if facts.taken_age_s is None else facts.taken_age_s
    is_overdue = facts.waiting_s is not None and facts.waiting_s > limit_s
    if is_overdue and idle_s > limit_s and not facts.are_threads_busy:
        detail = f"a step is overdue for {facts.waiting_s:.0f} s, and this node has taken none for {idle_s:.0f} s"
        return Readiness(reason="takes_nothing", detail=detail)
    return Readiness(reason="ready", detail="dispatch rounds are completed, and no work waits unanswered")
