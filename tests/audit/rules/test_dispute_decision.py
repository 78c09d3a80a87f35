"""A decision about money in doubt needs a name, a reason, and a generation that it fits."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from worker.audit.rules.dispute_decision import (
    CLOCKS_DISAGREE,
    NotEnded,
    NotInDoubt,
    Sendings,
    Signature,
    TooMuch,
    UnfitTask,
)
from worker.core.rules.errors import DarkroomError
from worker.core.rules.states import GenerationState

GENERATION = UUID(int=7)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SENT = Sendings(first_at=NOON, last_at=NOON + timedelta(hours=1), call=timedelta(seconds=40))
LAST = NOON + timedelta(hours=1, seconds=40)
MOMENT = timedelta(microseconds=1)


@pytest.mark.parametrize("created_at", [NOON - CLOCKS_DISAGREE, NOON, LAST + CLOCKS_DISAGREE])
def test_a_task_of_the_time_of_the_sends_may_be_theirs(created_at: datetime) -> None:
    assert SENT.can_have_made(created_at)


@pytest.mark.parametrize("created_at", [NOON - CLOCKS_DISAGREE - MOMENT, LAST + CLOCKS_DISAGREE + MOMENT])
def test_a_task_of_another_time_is_not_theirs(created_at: datetime) -> None:
    assert not SENT.can_have_made(created_at)


def test_the_time_of_the_sends_is_shown_to_the_last_answer() -> None:
    assert str(SENT) == "2026-11-22 12:00:00 to 2026-11-22 13:00:40 UTC"


@pytest.mark.parametrize(("actor", "reason"), [("", "refunded"), (" ", "refunded"), ("ana", ""), ("ana", "\n")])
def test_nobody_decides_about_money_without_a_name_and_a_reason(actor: str, reason: str) -> None:
    with pytest.raises(ValueError, match="needs a name and a reason"):
        Signature(actor=actor, reason=reason)


def test_a_decision_keeps_who_took_it_and_why() -> None:
    assert Signature(actor="ana", reason="refunded").actor == "ana"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NotInDoubt(GENERATION, None), "does not exist: `darkroom audit in-doubt` lists"),
        (NotInDoubt(GENERATION, GenerationState.FAILED), "is failed, not in doubt: `darkroom audit in-doubt`"),
        (NotEnded(GENERATION, GenerationState.IN_DOUBT), "is in_doubt: `darkroom resolve` decides about it"),
        (NotEnded(GENERATION, GenerationState.HELD), "is held: only one that has ended can be corrected"),
        (TooMuch(1_200, 4), "1,200 credits are more than the 4 that were held or reserved"),
        (UnfitTask("task-1", "its prompt is another"), "task-1 cannot be adopted: its prompt is another"),
    ],
)
def test_a_decision_that_cannot_be_taken_says_why(error: DarkroomError, said: str) -> None:
    assert said in str(error)


@pytest.mark.parametrize("state", GenerationState)
def test_what_a_generation_has_cost_is_known_once_it_ended_out_of_doubt(state: GenerationState) -> None:
    known = {"succeeded", "failed", "refused", "void"}

    assert state.has_ended is (state.value in known)
