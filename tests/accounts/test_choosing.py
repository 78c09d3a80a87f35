"""Of the accounts of a pool the one that would be done first is taken."""

from uuid import UUID

from worker.accounts.choosing import most_room
from worker.accounts.queries.pools import Member


def member(name: str, *, waiting: int = 0, rate: float = 10.0, is_open: bool = True) -> Member:
    """Return an account of a pool."""
    return Member(account_id=UUID(int=ord(name)), name=name, rate=rate, waiting=waiting, is_open=is_open)


def test_the_account_with_the_least_work_is_taken() -> None:
    assert most_room([member("a", waiting=200), member("b", waiting=100)], jobs=50).name == "b"


def test_more_work_at_a_higher_rate_may_be_done_first() -> None:
    assert most_room([member("a", waiting=300, rate=100), member("b", waiting=100)], jobs=50).name == "a"


def test_a_paused_account_is_taken_only_where_all_are() -> None:
    busy, paused = member("a", waiting=1_000), member("b", is_open=False)

    assert most_room([busy, paused], jobs=1) is busy
    assert most_room([paused], jobs=1) is paused


def test_of_equals_the_first_by_name_is_taken() -> None:
    assert most_room([member("b"), member("a")], jobs=1).name == "a"
