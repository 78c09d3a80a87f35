"""What happens next with a job, in one sentence."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from worker.batches.rules.explaining import Blocker, JobFacts, StepFacts
from worker.core.rules.states import JobState, StepKind
from worker.web.rules import outlook

NOW = datetime(2026, 11, 29, 10, 0, tzinfo=UTC)
STEP = StepFacts(
    kind=StepKind.POLL,
    due_at=NOW + timedelta(seconds=5),
    leased_until=None,
    attempts=0,
    error=None,
    accepted_at=None,
)
WAITING = JobFacts(
    state=JobState.PENDING,
    batch_id="b",
    ended_at=None,
    failure_code=None,
    failure_message=None,
    charged=0,
    held=0,
    ahead=0,
    blocker=None,
    nodes=1,
    step=None,
)
PAUSED = Blocker(reason="batch paused", next_step="", ends_by_itself=False, is_account_paused=False, stops_reads=False)
ACTIVE = replace(WAITING, state=JobState.ACTIVE, step=STEP)
ENDED = replace(WAITING, ended_at=NOW - timedelta(minutes=3))


@pytest.mark.parametrize(
    ("facts", "says", "then"),
    [
        (replace(ENDED, state=JobState.SUCCEEDED), "Done: its image was stored 3 min ago.", ""),
        (
            replace(ENDED, state=JobState.FAILED, failure_code="content_refused", failure_message="no."),
            "Failed 3 min ago with content_refused: no.",
            "Nothing more happens by itself; a retry of its batch asks for it again.",
        ),
        (
            replace(ENDED, state=JobState.FAILED),
            "Failed 3 min ago with unknown",
            "Nothing more happens by itself; a retry of its batch asks for it again.",
        ),
        (replace(ENDED, state=JobState.CANCELLED), "Cancelled before anything was sent for it: it costs nothing.", ""),
        (
            replace(ENDED, state=JobState.IN_DOUBT, held=4),
            "In doubt: it is not known whether it was charged, so 4 credits stay held until a person decides.",
            "If the provider reports its end, it is adopted by itself.",
        ),
        (WAITING, "Waiting for its turn: it is the next of its batch. Nothing is held for it yet.", ""),
        (
            replace(WAITING, ahead=3),
            "Waiting for its turn: 3 jobs of its batch go first. Nothing is held for it yet.",
            "",
        ),
        (replace(WAITING, blocker=PAUSED), "Waiting, not lost: batch paused.", ""),
        (
            replace(WAITING, blocker=replace(PAUSED, next_step="resume it")),
            "Waiting, not lost: batch paused.",
            "Next step: resume it.",
        ),
        (
            replace(WAITING, nodes=0),
            "Waiting, not lost: no worker node runs.",
            "Start one with `darkroom up`; it goes on then.",
        ),
        (replace(ACTIVE, step=None), "Its next step is being written right now.", ""),
        (
            replace(ACTIVE, step=replace(STEP, kind=StepKind.UPLOAD, leased_until=NOW + timedelta(seconds=50))),
            "In progress: its reference is uploaded by a node right now; if that node dies, another goes on in 50 s.",
            "",
        ),
        (ACTIVE, "Waiting, not lost: the provider is asked whether it has ended in 5 s.", ""),
        (
            replace(ACTIVE, step=replace(STEP, kind=StepKind.COLLECT, attempts=2, error="timed out")),
            "Waiting, not lost: its image is downloaded in 5 s.",
            "The last 2 tries failed: timed out.",
        ),
        (
            replace(ACTIVE, nodes=0),
            "Waiting, not lost: no worker node runs.",
            "Start one with `darkroom up`; it goes on then.",
        ),
        (
            replace(
                ACTIVE, step=replace(STEP, due_at=NOW - timedelta(seconds=5), leased_until=NOW - timedelta(seconds=1))
            ),
            "Due now: the provider is asked whether it has ended as soon as the rate limit has a free slot.",
            "",
        ),
        (
            replace(ACTIVE, step=replace(STEP, kind=StepKind.SUBMIT, due_at=NOW - timedelta(minutes=5))),
            (
                "Waiting, not lost: the provider is asked to render it when it can be, due for 5 min;"
                " the rate limit has had no free slot for it."
            ),
            "",
        ),
        (
            replace(
                ACTIVE,
                blocker=replace(PAUSED, reason="account paused"),
                step=replace(STEP, due_at=NOW - timedelta(minutes=5)),
            ),
            (
                "Waiting, not lost: the provider is asked whether it has ended when it can be, due for 5 min;"
                " account paused."
            ),
            "",
        ),
    ],
)
def test_waiting_and_lost_are_told_apart(facts: JobFacts, says: str, then: str) -> None:
    found = outlook.describe(facts, now=NOW)

    assert (found.says, found.then) == (says, then)
