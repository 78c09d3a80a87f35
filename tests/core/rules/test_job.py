import pytest

from worker.core.rules.states import ENDED_JOBS, IllegalTransition, JobEvent, JobState, next_state

LEGAL = {
    ("pending", "admit"): "active",
    ("pending", "cancel"): "cancelled",
    ("pending", "fail"): "failed",
    ("active", "collect"): "succeeded",
    ("active", "fail"): "failed",
    ("active", "cancel"): "cancelled",
    ("active", "doubt"): "in_doubt",
    ("active", "yield"): "pending",
    ("failed", "retry"): "pending",
    ("failed", "recall"): "active",
    ("cancelled", "retry"): "pending",
    ("in_doubt", "adopt"): "active",
    ("in_doubt", "resolve"): "failed",
}
ILLEGAL = [(s, e) for s in JobState for e in JobEvent if (s.value, e.value) not in LEGAL]


@pytest.mark.parametrize(("state", "event"), LEGAL)
def test_a_legal_event_leads_to_the_state_of_the_table(state: str, event: str) -> None:
    assert next_state(JobState(state), JobEvent(event)).value == LEGAL[state, event]


@pytest.mark.parametrize(("state", "event"), ILLEGAL)
def test_every_other_event_is_a_bug_that_raises(state: JobState, event: JobEvent) -> None:
    with pytest.raises(IllegalTransition, match=f"{state}.*{event}"):
        next_state(state, event)


def test_a_job_whose_payment_is_not_known_is_left_to_a_person() -> None:
    leaving = {event for state, event in LEGAL if state == "in_doubt"}

    assert leaving == {"adopt", "resolve"}
    assert JobState.IN_DOUBT in ENDED_JOBS
