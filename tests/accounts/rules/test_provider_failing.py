"""The sequential test that tells a failing provider from bad prompts."""

import random
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.accounts.rules.provider_failing import (
    MOST_TOLERATED,
    NARROWING,
    SUSPECT,
    TOLERATED,
    Evidence,
    failure,
    forgotten,
    success,
    successes,
    tolerated,
)

OUTCOMES = st.lists(st.booleans(), max_size=300)
SHARES = st.floats(min_value=0, max_value=1)


def after(outcomes: list[bool], before: Evidence) -> Evidence:
    """Return the evidence after these outcomes, True being a failure."""
    return reduce(lambda seen, is_failure: failure(seen) if is_failure else success(seen), outcomes, before)


@given(outcomes=OUTCOMES, usual=SHARES)
def test_the_score_is_never_below_zero_and_is_zero_without_failures(outcomes: list[bool], usual: float) -> None:
    found = after(outcomes, Evidence(usual=usual))

    assert found.score >= 0
    assert found.is_calm == (found.failed == 0)
    assert 0 <= found.usual <= 1


@given(outcomes=OUTCOMES, usual=SHARES)
def test_a_failure_raises_the_score_and_a_success_lowers_it(outcomes: list[bool], usual: float) -> None:
    seen = after(outcomes, Evidence(usual=usual))

    assert failure(seen).score > seen.score
    assert success(seen).score < seen.score or seen.is_calm


@given(usual=SHARES)
def test_nothing_but_failures_is_conclusive_after_a_bounded_number(usual: float) -> None:
    assert after([True] * 25, Evidence(usual=usual)).is_conclusive


def test_nine_failures_in_a_row_are_conclusive_where_failures_are_rare() -> None:
    assert not after([True] * 8, Evidence()).is_conclusive
    assert after([True] * 9, Evidence()).is_conclusive


@given(usual=SHARES)
def test_what_is_tolerated_is_more_than_usual_up_to_a_bound(usual: float) -> None:
    assert TOLERATED <= tolerated(usual) <= MOST_TOLERATED
    assert tolerated(usual) > usual or tolerated(usual) == MOST_TOLERATED


@given(outcomes=OUTCOMES, usual=SHARES)
def test_what_is_forgotten_leaves_the_usual_share_as_it_was(outcomes: list[bool], usual: float) -> None:
    seen = after(outcomes, Evidence(usual=usual))

    assert forgotten(seen) == Evidence(usual=seen.usual)


def test_an_outage_teaches_nothing_about_the_usual_share() -> None:
    assert after([True] * 30, Evidence()).usual == Evidence().usual


@pytest.mark.parametrize("share", [0.0, 0.1, 0.2])
def test_one_bad_prompt_in_five_is_never_conclusive_in_ten_batches_of_2000(share: float) -> None:
    for seed in range(10):
        dice, seen = random.Random(seed), Evidence()
        for _ in range(2_000):
            seen = failure(seen) if dice.random() < share else success(seen)
            assert not seen.is_conclusive


@pytest.mark.parametrize("share", [0.8, 0.9, 1.0])
def test_an_outage_that_fails_most_generations_is_found_within_fifty(share: float) -> None:
    for seed in range(50):
        dice, seen, count = random.Random(seed), Evidence(), 0
        while not seen.is_conclusive:
            seen, count = (failure(seen) if dice.random() < share else success(seen)), count + 1
        assert count <= 50


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_the_usual_share_is_learned(share: float) -> None:
    dice, seen = random.Random(1), Evidence()
    for _ in range(5_000):
        seen = failure(seen) if dice.random() < share else success(seen)
        if seen.is_calm:
            seen = successes(seen, 1)

    assert share / 2 < seen.usual < share * 1.5


@given(count=st.integers(min_value=0, max_value=10_000), usual=SHARES)
def test_successes_never_raise_the_usual_share(count: int, usual: float) -> None:
    assert successes(Evidence(usual=usual), count).usual <= usual


@pytest.mark.parametrize(
    ("outcomes", "expected"), [([True] * 2, False), ([True] * 3, True), ([True] * 5 + [False], False)]
)
def test_three_prompts_that_failed_with_no_success_among_them_are_one_sided(
    outcomes: list[bool], *, expected: bool
) -> None:
    assert after(outcomes, Evidence()).is_one_sided is expected


@pytest.mark.parametrize("count", [1, 2, 8])
def test_where_failures_are_rare_a_success_takes_one_failure_back(count: int) -> None:
    failed = reduce(lambda evidence, _: failure(evidence), range(count), Evidence())

    settled = reduce(lambda evidence, _: success(evidence), range(count), failed)

    assert settled.score == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("level", "failures"),
    [(SUSPECT, 2), (NARROWING, 3)],
    ids=["suspect", "narrowing"],
)
def test_so_many_failures_in_a_row_reach_the_level_and_one_fewer_does_not(level: float, failures: int) -> None:
    scores = [Evidence().score]
    state = Evidence()
    for _ in range(failures):
        state = failure(state)
        scores.append(state.score)

    assert scores[-2] < level <= scores[-1]
