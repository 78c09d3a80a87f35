import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from tests.pipeline.node import Node
from worker.engine import dispatch

AGAIN = """
    INSERT INTO credit_entry (batch_id, generation_id, kind, source, target, credits, posted_at, reason, actor)
    SELECT batch_id, generation_id, :kind, 'cap', 'held', :credits, posted_at, :reason, :actor FROM credit_entry"""


@pytest.fixture
def entry(node: Node) -> Node:
    """Return a ledger with one hold."""
    node.submit({"prompt": "1"})
    dispatch.run(node.services)
    return node


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE credit_entry SET credits = 1",
        "DELETE FROM credit_entry",
        "TRUNCATE credit_entry",
        "TRUNCATE credit_entry CASCADE",
        "TRUNCATE generation CASCADE",
    ],
)
def test_the_ledger_refuses_every_change_of_what_was_written(change: str, entry: Node, owner: Engine) -> None:
    with pytest.raises(DBAPIError, match="append-only"), owner.begin() as tx:
        tx.execute(text(change))

    assert entry.entries() == [("hold", 4)]


@pytest.mark.parametrize(
    ("kind", "credits_", "reason", "actor"),
    [("hold", 4, None, None), ("void", 0, None, None), ("void", -4, None, None), ("correct", 4, None, None)],
    ids=["same kind twice", "nothing", "less than nothing", "correction without a name"],
)
def test_the_database_refuses_an_entry_that_breaks_a_rule(
    kind: str, credits_: int, reason: str | None, actor: str | None, entry: Node
) -> None:
    values = {"kind": kind, "credits": credits_, "reason": reason, "actor": actor}

    with pytest.raises(IntegrityError), entry.services.database.transaction() as tx:
        tx.execute(text(AGAIN), values)

    assert entry.entries() == [("hold", 4)]


def test_no_cap_can_be_overrun_by_two_dispatchers_at_once(entry: Node) -> None:
    entry.submit(*({"prompt": str(n)} for n in range(10)), credit_cap=8)

    for _ in range(5):
        entry.clock.pause(1)
        dispatch.run(entry.services)

    committed = "SELECT committed FROM batch WHERE credit_cap IS NOT NULL"
    assert entry.query(committed) == [{"committed": 8}]
