"""The rules that hold after everything: our ledger, our rows and the provider's own books tell one story."""

from collections import Counter

from tests.fixtures.provider import Provider
from tests.pipeline.node import Node
from worker.audit.verify import verify

BALANCE = """
    SELECT coalesce(sum(credits) FILTER (WHERE target = :name), 0)::int
         - coalesce(sum(credits) FILTER (WHERE source = :name), 0)::int AS balance FROM credit_entry"""

COMMITTED = """
    SELECT b.id FROM batch b WHERE b.committed <> (
        SELECT coalesce(sum(CASE WHEN e.source = 'cap' THEN e.credits
                                 WHEN e.target = 'cap' THEN -e.credits ELSE 0 END), 0)
        FROM credit_entry e WHERE e.batch_id = b.id)"""

STRANDED = """
    SELECT j.key, j.state FROM job j LEFT JOIN step s ON s.job_id = j.id JOIN batch b ON b.id = j.batch_id
    WHERE (j.state = 'active') <> (s.job_id IS NOT NULL)
       OR (j.state = 'pending' AND b.state NOT IN ('open', 'paused'))"""


def balance(node: Node, name: str) -> int:
    """Return what lies in one of the four accounts, summed over all batches."""
    credits_: int = node.query(BALANCE, name=name)[0]["balance"]
    return credits_


def check(node: Node, provider: Provider) -> None:
    """Assert every invariant that holds at any quiet instant, with work left to do or not."""
    wallet, tasks = provider.wallet(), provider.tasks()
    keys = Counter(task["key"] for task in tasks)
    known = {row["provider_id"] for row in node.query("SELECT provider_id FROM generation")}

    assert max(keys.values(), default=0) <= 1, "one task at the provider per generation"
    assert {task["id"] for task in tasks if task["id"] not in known} == unclaimed(node, provider)
    assert balance(node, "spent") == wallet["charged"]
    assert balance(node, "reserved") == wallet["reserved"]
    assert sum(balance(node, name) for name in ("cap", "held", "reserved", "spent")) == 0
    assert node.query(COMMITTED) == []
    assert node.query(STRANDED) == []
    assert failed_checks(node) == []


def unclaimed(node: Node, provider: Provider) -> set[str]:
    """Return the tasks of the provider whose id we never got to know; only a generation in doubt may have one."""
    doubtful = {
        row["idempotency_key"] for row in node.query("SELECT idempotency_key FROM generation WHERE state = 'in_doubt'")
    }
    unknown = "SELECT idempotency_key FROM generation WHERE provider_id IS NULL"
    keys = {row["idempotency_key"] for row in node.query(unknown)} & doubtful
    return {task["id"] for task in provider.tasks() if task["key"] in keys}


def check_all_done(node: Node, provider: Provider) -> None:
    """Assert the invariants, and that every job has come to an end."""
    check(node, provider)
    assert set(node.jobs()) <= {"succeeded", "failed", "cancelled", "in_doubt"}


def failed_checks(node: Node) -> list[str]:
    """Return the names of Darkroom's own proofs that do not hold."""
    with node.services.database.engine.connect() as tx:
        return [check.name for check in verify(tx).checks if not check.ok]
