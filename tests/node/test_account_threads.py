"""Each of several accounts has its share of a node's threads."""

from contextlib import ExitStack
from uuid import UUID

from worker.node.process import AccountThreads

SHOP, STUDIO = UUID(int=1), UUID(int=2)


def test_an_account_has_its_share_of_threads_and_no_more() -> None:
    found = AccountThreads()
    found.bound(2)

    with ExitStack() as stack:
        taken = [stack.enter_context(found.taken(SHOP)) for _ in range(3)]
        left, of_another = found.idle(SHOP), stack.enter_context(found.taken(STUDIO))

    assert taken == [True, True, False]
    assert left == 0
    assert of_another
    assert found.idle(SHOP) == 2


def test_one_account_alone_has_all_threads() -> None:
    found = AccountThreads()

    with found.taken(SHOP) as is_free:
        assert is_free
        assert found.idle(SHOP) is None
