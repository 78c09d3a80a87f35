"""In which order due steps are served when there are fewer slots than steps."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from worker.domain.request import Priority
from worker.domain.step import StepKind


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


def ranked(steps: Iterable[Due]) -> dict[Priority, list[UUID]]:
    """Give the jobs of each class, the most worthwhile step first.

    Uploads, submits and collects that are tried again come before polls, oldest first: each surely brings its image
    forward, and most were promised a slot before. A poll may find nothing.
    """
    found: dict[Priority, list[UUID]] = {}
    for step in sorted(steps, key=lambda s: (s.kind is StepKind.POLL, s.due_at, s.job_id)):
        found.setdefault(step.priority, []).append(step.job_id)
    return found
