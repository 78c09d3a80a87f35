"""How many jobs of a batch are in each state is known without reading them, and always right."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import TextClause, text
from sqlalchemy.dialects import postgresql

from tests.fixtures.provider import Provider
from tests.pipeline.node import Node
from worker.batches.queries import completion_feed, explaining, job_counts, overview, throughput
from worker.core.rules.states import JobState
from worker.engine.queries import jobs
from worker.web.queries import batch_list, feed


def counted(node: Node, *batch_ids: UUID) -> list[dict[str, int]]:
    with node.services.database.transaction() as tx:
        found = job_counts.of_batches(tx, batch_ids)
    return [{str(state): count for state, count in found[batch_id].items() if count} for batch_id in batch_ids]


def in_the_table(node: Node, *batch_ids: UUID) -> list[dict[str, int]]:
    rows = node.query("SELECT batch_id, state FROM job")
    return [dict(Counter(row["state"] for row in rows if row["batch_id"] == batch_id)) for batch_id in batch_ids]


def rows_of_counts(node: Node) -> int:
    return int(node.query("SELECT count(*) AS rows FROM job_count")[0]["rows"])


def fold(node: Node) -> bool:
    with node.services.database.transaction() as tx:
        return job_counts.fold(tx)


def test_counts_follow_the_jobs_through_their_life(node: Node, sandbox: Provider) -> None:
    sandbox.script(("create", 2, "fail_generation"))
    first = node.submit(*({"prompt": str(number)} for number in range(6)), name="first").batch_id
    second = node.submit({"prompt": "a"}, {"prompt": "b"}, name="second").batch_id
    seen = [(counted(node, first, second), in_the_table(node, first, second))]
    node.round()
    seen.append((counted(node, first, second), in_the_table(node, first, second)))
    with node.services.database.transaction() as tx:
        jobs.cancel_pending(tx, second, now=node.clock())
    seen.append((counted(node, first, second), in_the_table(node, first, second)))
    node.run_until_quiet()
    seen.append((counted(node, first, second), in_the_table(node, first, second)))

    assert [by_changes for by_changes, _ in seen] == [by_rows for _, by_rows in seen]
    assert seen[0][0] == [{"pending": 6}, {"pending": 2}]
    assert sum(seen[-1][0][0].values()) == 6


def test_a_batch_without_jobs_has_counts_of_zero(node: Node) -> None:
    unknown = node.services.new_id()

    with node.services.database.transaction() as tx:
        assert job_counts.of_batches(tx, [unknown]) == {unknown: dict.fromkeys(JobState, 0)}


def test_an_update_that_moves_no_job_leaves_no_row(node: Node) -> None:
    node.submit({"prompt": "a"})
    before = rows_of_counts(node)

    with node.services.database.transaction() as tx:
        tx.execute(text("UPDATE job SET failures = failures + 1"))

    assert rows_of_counts(node) == before


def test_folding_leaves_one_row_of_a_batch_and_the_same_counts(node: Node) -> None:
    batch = node.submit(*({"prompt": str(number)} for number in range(30))).batch_id
    for _ in range(40):
        node.round()
        node.clock.advance(timedelta(seconds=0.2))
    before, many = counted(node, batch), rows_of_counts(node)

    is_all = fold(node)

    assert (many > 10, is_all, rows_of_counts(node), counted(node, batch)) == (True, True, 1, before)


def test_folding_at_once_and_beside_changes_counts_each_change_once(node: Node) -> None:
    batch = node.submit(*({"prompt": str(number)} for number in range(60))).batch_id
    ids: Sequence[UUID] = [row["id"] for row in node.query("SELECT id FROM job")]

    def change(job_id: UUID) -> None:
        with node.services.database.transaction() as tx:
            tx.execute(text("UPDATE job SET state = 'cancelled', ended_at = now() WHERE id = :id"), {"id": job_id})
        fold(node)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(change, ids))

    assert counted(node, batch) == [{"cancelled": 60}]


def plan_of(node: Node, statement: TextClause, batch: UUID, *settings: str) -> str:
    values = {"batch_id": batch, "id": batch, "ids": [batch], "most": 500, "limit": 500, "ended_at": node.clock()}
    values |= {"attempts": 2, "store": "store"}
    compiled = statement.compile(dialect=postgresql.dialect(paramstyle="named"))  # type: ignore[no-untyped-call]
    with node.services.database.transaction() as tx:
        for setting in settings:
            tx.execute(text(f"SET LOCAL {setting} = off"))
        return "\n".join(
            tx.execute(text(f"EXPLAIN {statement}"), {name: values[name] for name in compiled.params}).scalars()
        )


@pytest.mark.parametrize(
    "statement", [batch_list._IN_FLIGHT, overview._MOST, explaining._OF_BATCH, completion_feed._HAS_LIVE]
)
def test_generations_of_steps_are_looked_up_and_never_merged_with_all(node: Node, statement: TextClause) -> None:
    """The planner took a merge join for a batch, and read the index of every generation there is."""
    batch = node.submit({"prompt": "a"}).batch_id

    plan = plan_of(node, statement, batch, "enable_nestloop", "enable_seqscan", "enable_bitmapscan")

    assert "Index Cond: (id = s.generation_id)" in plan


@pytest.mark.parametrize("statement", [throughput._CLOCKS, completion_feed._AFTER, feed._NUMBER, feed._NUMBER_WHOLE])
def test_the_ends_of_one_batch_are_never_looked_for_among_those_of_all(node: Node, statement: TextClause) -> None:
    """The planner took that index for a batch without any, and read every ended job there is."""
    batch = node.submit({"prompt": "a"}).batch_id

    plan = plan_of(node, statement, batch, "enable_seqscan", "enable_bitmapscan")

    assert "ix_job_ended_at" not in plan
    assert "ix_job_ended" in plan
