import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.ledger.rules import entries
from worker.ledger.rules.entries import Balance, CreditAccount, EntryKind, Flow, Movement

CREDITS = st.integers(min_value=0, max_value=10**12)
PRICE = st.integers(min_value=1, max_value=10**12)


def lives(price: int, answered: int, final: int) -> tuple[Movement, ...]:
    return (
        *entries.hold(price),
        *entries.reserve(held=price, answered=answered),
        *entries.settle(reserved=answered, final=final),
    )


@given(PRICE, CREDITS, CREDITS)
def test_whatever_the_provider_answers_the_four_accounts_add_up_to_zero(price: int, answered: int, final: int) -> None:
    assert sum(entries.balances(lives(price, answered, final)).values()) == 0


@given(PRICE, CREDITS, CREDITS)
def test_after_the_end_exactly_the_final_credits_are_spent_and_nothing_else_is_bound(
    price: int, answered: int, final: int
) -> None:
    sums = entries.balances(lives(price, answered, final))

    assert sums == {
        CreditAccount.CAP: -final,
        CreditAccount.HELD: 0,
        CreditAccount.RESERVED: 0,
        CreditAccount.SPENT: final,
    }


@given(PRICE, CREDITS)
def test_while_it_runs_exactly_the_providers_figure_is_reserved(price: int, answered: int) -> None:
    sums = entries.balances((*entries.hold(price), *entries.reserve(held=price, answered=answered)))

    assert (sums[CreditAccount.HELD], sums[CreditAccount.RESERVED]) == (0, answered)


@given(PRICE, CREDITS, CREDITS)
def test_what_is_committed_is_what_is_held_reserved_and_spent(price: int, answered: int, final: int) -> None:
    movements = lives(price, answered, final)

    assert entries.committed(movements) == -entries.balances(movements)[CreditAccount.CAP]


@given(PRICE, CREDITS, CREDITS)
def test_a_generation_has_each_kind_of_entry_at_most_once(price: int, answered: int, final: int) -> None:
    kinds = [movement.kind for movement in lives(price, answered, final)]

    assert len(kinds) == len(set(kinds))


@given(PRICE, CREDITS, CREDITS)
def test_every_entry_moves_at_least_one_credit(price: int, answered: int, final: int) -> None:
    assert min(movement.credits for movement in lives(price, answered, final)) >= 1


@given(PRICE)
def test_a_void_takes_back_the_whole_hold(price: int) -> None:
    assert set(entries.balances((*entries.hold(price), *entries.void(price))).values()) == {0}


OPEN = st.sampled_from([CreditAccount.HELD, CreditAccount.RESERVED])


@given(OPEN, PRICE, CREDITS)
def test_after_a_correction_exactly_what_was_charged_is_spent(source: CreditAccount, amount: int, charged: int) -> None:
    movements = entries.correct(source=source, amount=amount, charged=charged)

    sums = entries.balances(movements)

    assert {movement.kind for movement in movements} == {EntryKind.CORRECT}
    assert (sums[source], sums[CreditAccount.SPENT]) == (-amount, charged)
    assert sum(sums.values()) == 0


@given(CREDITS, CREDITS)
def test_a_correction_of_what_was_spent_moves_the_difference_and_nothing_when_there_is_none(
    spent: int, charged: int
) -> None:
    movements = entries.correct_spent(spent=spent, charged=charged)

    assert entries.balances(movements)[CreditAccount.SPENT] == charged - spent
    assert len(movements) == (spent != charged)


@given(PRICE, CREDITS, CREDITS)
def test_the_flows_of_a_statement_are_the_movements_by_kind_without_corrections(
    price: int, answered: int, final: int
) -> None:
    movements = (*lives(price, answered, final), *entries.correct_spent(spent=final, charged=final + 1))
    flows = [Flow(kind=m.kind, source=m.source, target=m.target, entries=1, credits=m.credits) for m in movements]

    sums = entries.by_kind(flows)

    assert EntryKind.CORRECT not in sums
    assert sum(sums.values()) == sum(m.credits for m in movements) - 1
    assert Balance().after(flows).committed == final + 1


def test_two_balances_are_added_account_by_account() -> None:
    found = Balance(held=1, reserved=2, spent=3).plus(Balance(held=10, reserved=20, spent=30))

    assert found == Balance(held=11, reserved=22, spent=33)


@pytest.mark.parametrize("kind", [kind for kind in EntryKind if kind is not EntryKind.CORRECT])
def test_every_kind_but_a_correction_has_one_route(kind: EntryKind) -> None:
    source, target = entries.ROUTES[kind]

    assert source is not target
