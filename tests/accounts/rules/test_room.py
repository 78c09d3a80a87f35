"""Of the accounts of a pool the one that would be done first is taken."""

from dataclasses import dataclass

from worker.accounts.rules.room import most_room


@dataclass(frozen=True, kw_only=True)
class Account:
    name: str
    rate: float = 10.0
    waiting: int = 0
    is_open: bool = True


def test_the_account_with_the_least_work_is_taken() -> None:
    assert most_room([Account(name="a", waiting=200), Account(name="b", waiting=100)], jobs=50).name == "b"


def test_more_work_at_a_higher_rate_may_be_done_first() -> None:
    assert most_room([Account(name="a", waiting=300, rate=100), Account(name="b", waiting=100)], jobs=50).name == "a"


def test_a_paused_account_is_taken_only_where_all_are() -> None:
    busy, paused = Account(name="a", waiting=1_000), Account(name="b", is_open=False)

    assert most_room([busy, paused], jobs=1) is busy
    assert most_room([paused], jobs=1) is paused


def test_of_equals_the_first_by_name_is_taken() -> None:
    assert most_room([Account(name="b"), Account(name="a")], jobs=1).name == "a"
