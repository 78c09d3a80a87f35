"""In which order due steps are served when there are fewer slots than steps."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from worker.core.rules.batch_request import Priority
from worker.core.rules.step import StepKind
from worker.engine.rules.detection_lag import Ends, ends
from worker.engine.rules.latency import Histogram

Seen = Callable[[str, bool], Histogram]
"""From a model, and whether a reference is given, to what is known of its latencies."""


@dataclass(frozen=True, kw_only=True)
class Due:
    """A due step, with what tells how much it is worth to do it now."""

    job_id: UUID
    kind: StepKind
    priority: Priority
    due_at: datetime
    since: datetime
    """Of a poll: when the provider took the request."""
    looked_at: datetime | None
    """When the provider last said that it has not ended."""
    model: str
    has_reference: bool


def ranked(steps: Iterable[Due], seen: Seen, *, now: datetime) -> dict[Priority, list[UUID]]:
    """Return the jobs of each class, the most worthwhile step first.

    Uploads, submits and collects that are tried again come before polls, oldest first: each surely brings its image
    forward, and most were promised a slot before. A poll may find nothing. Polls follow by the time for which,
    as far as is known, their generations have ended without anybody knowing; where nothing is known yet, by how long
    they have been due.
    """
    known: dict[tuple[str, bool], Ends | None] = {}
    found: dict[Priority, list[tuple[tuple[bool, float], UUID]]] = {}
    for step in steps:
        kind = step.model, step.has_reference
        if kind not in known:
            known[kind] = ends(seen(*kind))
        found.setdefault(step.priority, []).append((_order(step, known[kind], now), step.job_id))
    return {priority: [job_id for _, job_id in sorted(rows)] for priority, rows in found.items()}


def _order(step: Due, known: Ends | None, now: datetime) -> tuple[bool, float]:
    """Return what sorts the step into its class: smaller is earlier."""
    is_poll = step.kind is StepKind.POLL
    if not is_poll or known is None:
        return is_poll, -(now - step.due_at).total_seconds()
    looked_s = 0.0 if step.looked_at is None else (step.looked_at - step.since).total_seconds()
    return True, -known.undetected_s(looked_s=looked_s, age_s=(now - step.since).total_seconds())
