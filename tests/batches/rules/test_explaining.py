"""Whatever state a job or a batch is in, its explanation says why, what happens next, and what a person can do."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from worker.batches.rules.explaining import (
    Archived,
    BatchFacts,
    Blocker,
    Explanation,
    JobFacts,
    StepFacts,
    Verdict,
    explain_batch,
    explain_job,
)
from worker.core.rules.states import BatchState, JobState, StepKind

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
SOON, BEFORE = NOW + timedelta(seconds=20), NOW - timedelta(seconds=20)
CAP = Blocker(
    reason="credit cap reached",
    next_step="`darkroom cap b none`",
    ends_by_itself=False,
    is_account_paused=False,
    stops_reads=False,
)
WALLET = replace(CAP, reason="account paused: insufficient_credits", next_step="top up", ends_by_itself=True)
WALLET = replace(WALLET, is_account_paused=True)
KEY = replace(WALLET, reason="account paused: api_key_invalid", next_step="fix the key", stops_reads=True)
PERSON = replace(WALLET, reason="account paused: operator", next_step="resume", ends_by_itself=False)
POLL = StepFacts(kind=StepKind.POLL, due_at=SOON, leased_until=None, attempts=0, error=None, accepted_at=BEFORE)
SUBMIT = replace(POLL, kind=StepKind.SUBMIT, accepted_at=None)
COLLECT = replace(POLL, kind=StepKind.COLLECT)
JOB = JobFacts(
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
ACTIVE = replace(JOB, state=JobState.ACTIVE, held=4, step=POLL)


def of(facts: JobFacts, **changes: object) -> Explanation:
    return explain_job(replace(facts, **changes), now=NOW)  # type: ignore[arg-type]  # one table for all fields


@pytest.mark.parametrize(
    ("changes", "verdict", "why", "to_do"),
    [
        ({"ahead": 12}, Verdict.WAITING, "12 jobs of its batch come before it", ""),
        ({}, Verdict.WAITING, "it is the next of its batch", ""),
        ({"blocker": CAP}, Verdict.NEEDS_ACTION, "credit cap reached", "`darkroom cap b none`"),
        ({"blocker": WALLET}, Verdict.WAITING, "insufficient_credits", "top up"),
        ({"nodes": 0}, Verdict.NEEDS_ACTION, "no worker node", "darkroom up"),
    ],
)
def test_a_pending_job_says_what_it_waits_for(
    changes: Mapping[str, object], verdict: Verdict, why: str, to_do: str
) -> None:
    found = of(JOB, **changes)

    assert (found.verdict, found.state) == (verdict, "pending")
    assert why in found.why
    assert "nothing is held" in found.why
    assert to_do in found.to_do


@pytest.mark.parametrize(
    ("changes", "verdict", "why", "next_", "next_at"),
    [
        ({}, Verdict.WORKING, "at the provider since 2026-11-30 11:59:40 UTC", "asked whether", SOON),
        ({"step": replace(POLL, due_at=BEFORE)}, Verdict.WAITING, "waits for a slot", "asked whether", None),
        ({"step": replace(POLL, leased_until=SOON)}, Verdict.WORKING, "a node has it", "another takes it over", SOON),
        ({"step": replace(POLL, leased_until=BEFORE)}, Verdict.WORKING, "at the provider", "asked whether", SOON),
        ({"step": COLLECT}, Verdict.WORKING, "has made its image", "downloaded", SOON),
        (
            {"step": replace(COLLECT, attempts=1, error="timed out")},
            Verdict.WAITING,
            "the last try failed (once): timed out",
            "tried again",
            SOON,
        ),
        ({"step": replace(SUBMIT, attempts=3, error="503")}, Verdict.WAITING, "3 times in a row", "tried again", SOON),
        ({"step": SUBMIT}, Verdict.WORKING, "nothing of it is known to be at the provider", "created", SOON),
        ({"blocker": KEY}, Verdict.WAITING, "api_key_invalid; it is at the provider", "when that is over", None),
        ({"blocker": WALLET}, Verdict.WORKING, "it is at the provider", "asked whether", SOON),
        ({"blocker": WALLET, "step": SUBMIT}, Verdict.WAITING, "insufficient_credits", "when that is over", None),
        ({"blocker": PERSON, "step": SUBMIT}, Verdict.NEEDS_ACTION, "operator", "when that is over", None),
        ({"blocker": CAP}, Verdict.WORKING, "it is at the provider", "asked whether", SOON),
        ({"nodes": 0}, Verdict.NEEDS_ACTION, "no worker node", "as soon as one is", None),
        ({"step": None}, Verdict.NEEDS_ACTION, "which cannot be", "", None),
    ],
)
def test_a_job_in_progress_says_where_it_is_and_what_comes_next(
    changes: Mapping[str, object], verdict: Verdict, why: str, next_: str, next_at: datetime | None
) -> None:
    found = of(ACTIVE, **changes)

    assert (found.verdict, found.next_at) == (verdict, next_at)
    assert why in found.why
    assert "0 credits were charged, and 4 are held" in found.why
    assert next_ in found.next


@pytest.mark.parametrize(
    ("changes", "verdict", "why", "to_do"),
    [
        ({"state": JobState.SUCCEEDED, "ended_at": BEFORE, "charged": 4}, Verdict.ENDED, "4 credits were charged", ""),
        ({"state": JobState.CANCELLED, "ended_at": BEFORE}, Verdict.ENDED, "before anything was sent", ""),
        ({"state": JobState.CANCELLED}, Verdict.ENDED, "at an unknown time", ""),
        (
            {"state": JobState.FAILED, "failure_code": "content_refused", "failure_message": "No."},
            Verdict.NEEDS_ACTION,
            "content_refused: No.",
            "`darkroom retry b --code content_refused`",
        ),
        ({"state": JobState.FAILED}, Verdict.NEEDS_ACTION, "with unknown;", "darkroom retry b"),
        ({"state": JobState.IN_DOUBT, "held": 4}, Verdict.NEEDS_ACTION, "4 are held", "darkroom resolve"),
        (
            {"state": JobState.IN_DOUBT, "failure_message": "the answer was lost"},
            Verdict.NEEDS_ACTION,
            "(the answer was lost)",
            "darkroom audit in-doubt",
        ),
    ],
)
def test_an_ended_job_says_how_it_ended_and_what_it_cost(
    changes: Mapping[str, object], verdict: Verdict, why: str, to_do: str
) -> None:
    found = of(JOB, **changes)

    assert found.verdict is verdict
    assert why in found.why
    assert to_do in found.to_do


NONE = dict.fromkeys(JobState, 0)
BATCH = BatchFacts(
    batch_id="b",
    shown_state="running",
    state=BatchState.OPEN,
    jobs=NONE | {JobState.PENDING: 5, JobState.ACTIVE: 2},
    blocker=None,
    nodes=1,
    next_due_at=SOON,
)
PENDING_ONLY, ACTIVE_ONLY = NONE | {JobState.PENDING: 5}, NONE | {JobState.ACTIVE: 2}


@pytest.mark.parametrize(
    ("changes", "verdict", "why", "next_", "to_do"),
    [
        ({}, Verdict.WORKING, "5 pending, 2 active", "jobs in progress continue", ""),
        ({"jobs": PENDING_ONLY}, Verdict.WAITING, "wait for their turn", "admitted when their turn comes", ""),
        ({"blocker": CAP}, Verdict.NEEDS_ACTION, "credit cap reached; 5", "jobs in progress continue", "darkroom cap"),
        ({"blocker": CAP, "jobs": ACTIVE_ONLY}, Verdict.WORKING, "2 active", "continue", "darkroom cap"),
        ({"blocker": CAP, "jobs": PENDING_ONLY}, Verdict.NEEDS_ACTION, "credit cap", "", "darkroom cap"),
        ({"blocker": KEY, "jobs": ACTIVE_ONLY}, Verdict.WAITING, "api_key_invalid", "", "fix the key"),
        ({"nodes": 0}, Verdict.NEEDS_ACTION, "no worker node", "", "darkroom up"),
        ({"state": BatchState.REFUSED, "jobs": NONE}, Verdict.NEEDS_ACTION, "it was refused", "", "darkroom status b"),
        ({"jobs": NONE | {JobState.SUCCEEDED: 7}}, Verdict.ENDED, "have ended: 7 succeeded", "", ""),
        ({"jobs": NONE | {JobState.FAILED: 1}}, Verdict.NEEDS_ACTION, "1 failed", "", "`darkroom retry b`"),
        ({"jobs": NONE | {JobState.IN_DOUBT: 1}}, Verdict.NEEDS_ACTION, "1 in doubt", "", "darkroom resolve"),
        ({"jobs": NONE}, Verdict.ENDED, "it has no jobs", "", ""),
    ],
)
def test_a_batch_says_what_it_waits_for_and_what_goes_on(
    changes: Mapping[str, object], verdict: Verdict, why: str, next_: str, to_do: str
) -> None:
    found = explain_batch(replace(BATCH, **changes))  # type: ignore[arg-type]  # one table for all fields

    assert found.verdict is verdict
    assert why in found.why
    assert next_ in found.next
    assert bool(found.next) is bool(next_)
    assert to_do in found.to_do


ARCHIVED = Archived(at=BEFORE, folder="archive/b/")


@pytest.mark.parametrize(
    ("changes", "why", "to_do"),
    [
        ({"state": JobState.SUCCEEDED, "ended_at": BEFORE, "charged": 4}, "4 credits were charged", ""),
        ({"state": JobState.FAILED, "failure_code": "content_refused"}, "with content_refused", "in a new batch"),
    ],
)
def test_an_archived_job_is_over_and_says_when_it_was_archived_and_where_it_lies(
    changes: Mapping[str, object], why: str, to_do: str
) -> None:
    found = of(JOB, archived=ARCHIVED, **changes)

    assert (found.verdict, found.archived) == (Verdict.ENDED, ARCHIVED)
    assert why in found.why
    assert found.why.endswith("; archived on 2026-11-30 into archive/b/ of the store")
    assert to_do in found.to_do
    assert "darkroom retry" not in found.to_do


def test_an_archived_batch_is_over_and_says_how_its_lines_are_read() -> None:
    found = explain_batch(replace(BATCH, archived=ARCHIVED, jobs=NONE | {JobState.SUCCEEDED: 7, JobState.FAILED: 1}))

    assert found.verdict is Verdict.ENDED
    assert "7 succeeded, 1 failed; archived on 2026-11-30" in found.why
    assert found.to_do == "`darkroom results b` reads its lines from the store"


def test_each_kind_of_answer_is_said_in_words_of_its_own() -> None:
    said = {verdict: verdict.words for verdict in Verdict}

    assert said[Verdict.NEEDS_ACTION] == "it needs you"
    assert len(set(said.values())) == len(Verdict)
