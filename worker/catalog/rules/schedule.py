"""The words of a schedule: what a run does when others are in its way, and where it stands."""

from datetime import timedelta
from enum import StrEnum

RUN_LEASE = timedelta(minutes=10)
"""How long a node has a run to itself; planning 50,000 items takes seconds."""


class OverlapPolicy(StrEnum):
    """What a run does while the one before it is not done."""

    SKIP = "skip"
    """It is left out, and says so."""
    QUEUE = "queue"
    """It waits for the other one."""


class MissedPolicy(StrEnum):
    """What to do about fire times at which no node was running."""

    RUN_ONCE = "run_once"
    """The newest of them is made up for, the others are left out."""
    SKIP = "skip"
    """They are all left out."""


class RunState(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    """It waits for the run before it."""
    PLANNING = "planning"
    """A node is making its plan."""
    APPROVAL = "approval"
    """Its plan waits for approval."""
    RENDERING = "rendering"
    """Its batch is under way."""
    DONE = "done"
    """All of its batch has ended, or there was nothing to render."""
    SKIPPED = "skipped"
    """It was left out, or ended before anything of it was rendered; the outcome says why."""
    FAILED = "failed"
    """It could not be planned or applied; the outcome says why."""
