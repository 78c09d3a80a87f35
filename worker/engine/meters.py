"""What a process measures of its own work; without a node nothing is kept."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from worker.core.rules.states import StepKind
from worker.engine.rules.call import Call


class Meters:
    """Keeps nothing; a node has meters that count (``worker.node.meters``). Safe to share between threads."""

    def called(self, call: Call) -> None:
        """Count a call that has ended."""

    def stepped(self, kind: StepKind, took: timedelta) -> None:
        """Keep how long a step took in this process."""

    def queued(self, waited: timedelta) -> None:
        """Keep how long a job had waited when its first request was sent."""

    def detected(self, *, provider: timedelta, lag: timedelta) -> None:
        """Keep how long a generation took at the provider, and how long after that its end was seen."""


def submitted_at(job_id: UUID) -> datetime:
    """Return when a job was written, to a millisecond: its id is a UUIDv7, made by the database's clock."""
    return datetime.fromtimestamp((job_id.int >> 80) / 1000, UTC)
