"""Every entry of the ledger with what it was for, in the order of writing."""

from worker.audit.queries.flows import Scope
from worker.audit.queries.query import Query


def entries(scope: Scope) -> Query:
    """Ask for the entries of the scope."""
    first = " AND e.posted_at >= CAST(:from_day AS date)::timestamp AT TIME ZONE 'UTC'" if scope.from_day else ""
    last = " AND e.posted_at < (CAST(:to_day AS date) + 1)::timestamp AT TIME ZONE 'UTC'" if scope.to_day else ""
    return Query(
        name="entries",
        sql=f"""
    SELECT e.id, e.posted_at, b.id AS batch_id, b.name AS batch, b.owner, j.id AS job_id, j.key, j.model,
        g.id AS generation_id, g.number, e.kind, e.source, e.target, e.credits, e.actor, e.reason
    FROM credit_entry e JOIN batch b ON b.id = e.batch_id JOIN generation g ON g.id = e.generation_id
    JOIN job j ON j.id = g.job_id
    WHERE e.posted_at <= :as_of{first}{last}{scope.conditions()}
    ORDER BY e.id
    """,
        values=scope.values(),
    )
