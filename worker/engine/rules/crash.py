"""Crashes of our own code in a step: how often it is tried again, and how its job ends when it always crashes."""

from datetime import timedelta
from enum import Enum, auto
from typing import assert_never

from worker.core.rules import retry
from worker.core.rules.retry import Backoff
from worker.core.rules.step import StepKind
from worker.engine.rules import polling

CODE = "internal_error"
"""The failure of a job that a bug of ours has ended."""

MOST = 5
"""So many crashes in a row are no accident."""

WAITS = Backoff(first=timedelta(seconds=30), most=timedelta(minutes=10))
"""Between two tries: a node of another version, or one with the bug fixed, may do the step meanwhile."""


class Verdict(Enum):
    """What follows from a crash."""

    TRY_AGAIN = auto()
    """Later, with growing waits."""
    FAIL_UNSENT = auto()
    """The job fails and its hold is void: surely nothing was created."""
    DOUBT = auto()
    """The job is in doubt and its credits stay where they are: something may have been created, or has been."""
    FAIL_PAID = auto()
    """The job fails with its credits spent; its image is asked for again by ``darkroom retry``, for nothing."""


def verdict(kind: StepKind, *, crashes: int, is_perhaps_sent: bool, age: timedelta) -> Verdict:
    """Return what follows after so many crashes in a row.

    ``age`` is the time since the provider accepted the generation, or of a collect since the image is paid for: what
    is at the provider has as much time as if it had not answered.
    """
    if crashes < MOST:
        return Verdict.TRY_AGAIN
    match kind:
        case StepKind.UPLOAD | StepKind.SUBMIT:
            return Verdict.DOUBT if is_perhaps_sent else Verdict.FAIL_UNSENT
        case StepKind.POLL:
            return Verdict.DOUBT if age >= polling.DOUBT_AFTER else Verdict.TRY_AGAIN
        case StepKind.COLLECT:
            return Verdict.FAIL_PAID if age >= retry.COLLECT_PATIENCE.unreachable else Verdict.TRY_AGAIN
        case _:
            assert_never(kind)
