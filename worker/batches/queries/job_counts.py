"""How many jobs of a batch are in each state.

Triggers of ``job`` write each change of the counts into ``job_count``, in the transaction that makes it (migration
0078): the counts of a batch are the sums of its rows, whatever the number of its jobs. Rows of one batch are added up
into one now and then.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.db.proofs import Proof
from worker.core.rules.states import JobState

_STATES = tuple(JobState)
_ROWS_TO_FOLD = 10
_BATCHES_AT_ONCE = 500
COUNTED = ", ".join(f"count(*) FILTER (WHERE state = '{state}') AS {state}" for state in _STATES)
"""What counts jobs by state anew, for a SELECT from ``job`` by batch: a column for each state."""
_SUMS = ", ".join(f"coalesce(sum({state}), 0)::bigint AS {state}" for state in _STATES)

# Of an archived batch what was counted when it was archived.
_OF_BATCHES = text(f"""
    SELECT batch_id, {_SUMS} FROM job_count
    WHERE batch_id = ANY(:ids) AND NOT EXISTS (SELECT FROM archived_batch a WHERE a.batch_id = job_count.batch_id)
    GROUP BY batch_id
    UNION ALL
    SELECT batch_id, {", ".join(f"coalesce((jobs ->> '{state}')::bigint, 0)" for state in _STATES)}
    FROM archived_batch WHERE batch_id = ANY(:ids)""")


def of_batches(tx: Connection, ids: Sequence[UUID]) -> dict[UUID, dict[JobState, int]]:
    """Return the counts of these batches; zeros for one that has no jobs."""
    found = {each: dict.fromkeys(_STATES, 0) for each in ids}
    for row in tx.execute(_OF_BATCHES, {"ids": list(ids)}).mappings():
        found[row["batch_id"]] = {state: row[state] for state in _STATES}
    return found


_OF_UNDONE = text(f"""
    SELECT {_SUMS} FROM job_count
    WHERE batch_id IN (SELECT id FROM batch WHERE done_at IS NULL AND state <> 'refused')""")


def of_undone(tx: Connection) -> dict[JobState, int]:
    """Return the counts over all batches that are not done."""
    row = tx.execute(_OF_UNDONE).mappings().one()
    return {state: row[state] for state in _STATES}


# One that comes second finds rows gone and adds up what is left: each row is taken by one of them.
_FOLD = text(f"""
    WITH taken AS (
        DELETE FROM job_count WHERE batch_id IN (
            SELECT batch_id FROM job_count GROUP BY batch_id HAVING count(*) > :rows LIMIT :batches)
        RETURNING *),
    folded AS (
        INSERT INTO job_count (batch_id, {", ".join(_STATES)})
        SELECT batch_id, {", ".join(f"sum({state})" for state in _STATES)} FROM taken GROUP BY batch_id)
    SELECT count(DISTINCT batch_id) FROM taken""")


def fold(tx: Connection) -> bool:
    """Fold the count rows of batches that have many into one row each; False when more batches remain."""
    folded: int = tx.execute(_FOLD, {"rows": _ROWS_TO_FOLD, "batches": _BATCHES_AT_ONCE}).scalar_one()
    return folded < _BATCHES_AT_ONCE


PROOFS: tuple[Proof, ...] = (
    Proof(
        name="jobs_counted",
        rule="the counts of a batch's jobs by state are those of its jobs",
        query=f"""
            SELECT coalesce(c.batch_id, j.batch_id) AS batch_id, {
            ", ".join(f"coalesce(c.{state}, 0) AS {state}, coalesce(j.{state}, 0) AS {state}_jobs" for state in _STATES)
        }
            FROM (SELECT batch_id, {_SUMS} FROM job_count GROUP BY batch_id) c
            FULL JOIN (SELECT batch_id, {COUNTED} FROM job GROUP BY batch_id) j ON j.batch_id = c.batch_id
            WHERE ({", ".join(f"coalesce(c.{state}, 0)" for state in _STATES)})
                    <> ({", ".join(f"coalesce(j.{state}, 0)" for state in _STATES)})
                AND NOT EXISTS (
                    SELECT FROM archived_batch a WHERE a.batch_id = coalesce(c.batch_id, j.batch_id))""",
    ),
)
