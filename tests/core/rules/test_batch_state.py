from uuid import UUID

import pytest

from worker.core.rules.states import ACTS_ON, ActionRefused, BatchAction, BatchState

BATCH = UUID(int=7)
MEANINGFUL = {
    ("open", "pause"),
    ("paused", "resume"),
    ("open", "reprioritise"),
    ("paused", "reprioritise"),
    ("open", "cancel"),
    ("paused", "cancel"),
    ("open", "retry"),
    ("paused", "retry"),
}
REFUSED = [(s, a) for s in BatchState for a in BatchAction if (s.value, a.value) not in MEANINGFUL]


@pytest.mark.parametrize(("state", "action"), sorted(MEANINGFUL))
def test_an_action_acts_on_the_states_in_which_it_means_something(state: str, action: str) -> None:
    assert BatchState(state) in ACTS_ON[BatchAction(action)]


@pytest.mark.parametrize(("state", "action"), REFUSED)
def test_every_other_action_is_refused_with_a_next_step(state: BatchState, action: BatchAction) -> None:
    said = str(ActionRefused(BATCH, action, state))

    assert state not in ACTS_ON[action]
    assert f"batch {BATCH} is {state} and cannot be" in said
    assert "`darkroom " in said


def test_a_cancelled_batch_is_not_resumed_and_says_what_may_be_done_instead() -> None:
    said = str(ActionRefused(BATCH, BatchAction.RESUME, BatchState.CANCELLED))

    assert f"`darkroom retry {BATCH}`" in said
