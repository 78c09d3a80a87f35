"""With too few slots for all due polls it matters which are made, and not how many."""

from ops.bench.polls.scarce_polls import MIXES, play

MIXED = MIXES["half 3 s, half 60 s, sigma 0.35"]


def test_polls_that_are_worth_most_see_ends_a_fifth_sooner_with_as_many_polls() -> None:
    longest_due = play(MIXED, rate=8, seconds=300, is_ranked=False)

    worth_most = play(MIXED, rate=8, seconds=300, is_ranked=True)

    assert worth_most.polls == longest_due.polls
    assert worth_most.lag_s < 0.8 * longest_due.lag_s
    assert worth_most.images > longest_due.images


def test_every_slot_goes_to_a_poll_while_polls_are_due() -> None:
    found = play(MIXED, rate=4, seconds=240, is_ranked=True)

    assert found.polls == 4 * 120
