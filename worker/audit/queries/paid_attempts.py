"""What the ledger says about each generation as of an instant: its sums by kind, its balances, its times.

Only entries and what never changes of a generation are read, so that the answer for an instant stays the same.
"""

from worker.audit.queries.flows import Scope
from worker.audit.queries.query import Query

_SUMS = """
        sum(e.credits) FILTER (WHERE e.kind = 'hold') AS hold,
        sum(e.credits) FILTER (WHERE e.kind = 'void') AS void,
        sum(e.credits) FILTER (WHERE e.kind = 'reserve') AS reserve,
        sum(e.credits) FILTER (WHERE e.kind = 'top_up') AS top_up,
        sum(e.credits) FILTER (WHERE e.kind = 'trim') AS trim,
        sum(e.credits) FILTER (WHERE e.kind = 'settle') AS settle,
        sum(e.credits) FILTER (WHERE e.kind = 'overrun') AS overrun,
        sum(e.credits) FILTER (WHERE e.kind = 'release') AS release,
        sum(e.credits) FILTER (WHERE e.kind = 'correct' AND e.source = 'cap') AS corrected_up,
        sum(e.credits) FILTER (WHERE e.kind = 'correct' AND e.target = 'cap') AS corrected_down,
        sum(e.credits) FILTER (WHERE e.kind = 'correct' AND e.source = 'held' AND e.target <> 'cap') AS found_charged,
        count(*) FILTER (WHERE e.kind = 'correct') AS corrections,
        sum(CASE WHEN e.target IN ('reserved', 'spent') THEN e.credits ELSE 0 END
            - CASE WHEN e.source IN ('reserved', 'spent') THEN e.credits ELSE 0 END)
            FILTER (WHERE e.kind = 'correct') AS corrected,
        sum(CASE WHEN e.target = 'held' THEN e.credits WHEN e.source = 'held' THEN -e.credits END) AS in_held,
        sum(CASE WHEN e.target = 'reserved' THEN e.credits WHEN e.source = 'reserved' THEN -e.credits END)
            AS in_reserved,
        sum(CASE WHEN e.target = 'spent' THEN e.credits WHEN e.source = 'spent' THEN -e.credits END) AS in_spent,
        min(e.posted_at) AS held_at,
        min(e.posted_at) FILTER (WHERE e.kind IN ('reserve', 'trim', 'top_up')) AS reserved_at,
        max(e.posted_at) FILTER (WHERE e.kind = 'correct') AS corrected_at,
        max(e.posted_at) FILTER (WHERE e.kind IN ('settle', 'release', 'overrun')
            OR (e.kind = 'correct' AND e.source IN ('held', 'reserved'))) AS matched_at"""

_NUMBERS = (
    "hold", "void", "reserve", "top_up", "trim", "settle", "overrun", "release", "corrected_up", "corrected_down",
    "found_charged", "corrections", "corrected", "in_held", "in_reserved", "in_spent",
)  # fmt: skip
_WHOLE = ", ".join(f"coalesce(a.{name}, 0)::bigint AS {name}" for name in _NUMBERS)
_ADDED = ", ".join(f"coalesce(sum(a.{name}), 0)::bigint AS {name}" for name in _NUMBERS)


def _attempts(scope: Scope, *, having: str = "") -> str:
    batch = " AND e.batch_id = :batch_id" if scope.batch_id is not None else ""
    return f"""
    SELECT e.generation_id, e.batch_id,{_SUMS}
    FROM credit_entry e WHERE e.posted_at <= :as_of{batch}
    GROUP BY e.generation_id, e.batch_id{having}"""


def open_amounts(scope: Scope) -> Query:
    """Ask for every generation with credits that are held or reserved, oldest hold first."""
    having = """
    HAVING sum(CASE WHEN e.target IN ('held', 'reserved') THEN e.credits ELSE 0 END)
        <> sum(CASE WHEN e.source IN ('held', 'reserved') THEN e.credits ELSE 0 END)"""
    return Query(
        name="open amounts",
        sql=f"""
    SELECT a.held_at, a.reserved_at, b.id AS batch_id, b.name AS batch, b.owner, c.name AS account, j.id AS job_id,
        j.key, g.id AS generation_id, g.number, {_WHOLE}
    FROM ({_attempts(scope, having=having)}) a
    JOIN generation g ON g.id = a.generation_id JOIN job j ON j.id = g.job_id JOIN batch b ON b.id = a.batch_id
    JOIN account c ON c.id = g.account_id
    WHERE true{scope.conditions()}
    ORDER BY a.held_at, g.id
    """,
        values=scope.values(),
    )


def spend_per_batch(scope: Scope) -> Query:
    """Ask for the sums of each batch's generations."""
    return Query(
        name="spend per batch",
        sql=f"""
    SELECT b.id AS batch_id, b.name AS batch, b.owner, b.purpose, count(DISTINCT g.job_id) AS jobs,
        count(*) AS generations, {_ADDED}
    FROM ({_attempts(scope)}) a JOIN generation g ON g.id = a.generation_id JOIN batch b ON b.id = a.batch_id
    WHERE true{scope.conditions()}
    GROUP BY b.id, b.name, b.owner, b.purpose ORDER BY b.id
    """,
        values=scope.values(),
    )


def spend_per_image(scope: Scope) -> Query:
    """Ask for the sums of each job's generations."""
    return Query(
        name="spend per image",
        sql=f"""
    SELECT b.id AS batch_id, b.name AS batch, b.owner, j.line, j.key, j.id AS job_id, j.model,
        count(*) AS generations, {_ADDED}
    FROM ({_attempts(scope)}) a JOIN generation g ON g.id = a.generation_id JOIN job j ON j.id = g.job_id
    JOIN batch b ON b.id = a.batch_id
    WHERE true{scope.conditions()}
    GROUP BY b.id, b.name, b.owner, j.line, j.key, j.id, j.model ORDER BY b.id, j.line, j.id
    """,
        values=scope.values(),
    )


def reservations(scope: Scope) -> Query:
    """Ask for what each generation reserved or still holds, since when, and when that ended."""
    amount = "coalesce(a.reserve, 0) + coalesce(a.top_up, 0) + coalesce(a.found_charged, 0) + coalesce(a.in_held, 0)"
    return Query(
        name="reservations",
        sql=f"""
    SELECT ({amount})::bigint AS credits, coalesce(a.reserved_at, a.held_at) AS reserved_at,
        CASE WHEN coalesce(a.in_reserved, 0) = 0 AND coalesce(a.in_held, 0) = 0 THEN a.matched_at END AS matched_at
    FROM ({_attempts(scope)}) a WHERE {amount} > 0
    ORDER BY coalesce(a.reserved_at, a.held_at), a.generation_id
    """,
        values={"as_of": scope.as_of},
    )


def doubtful(scope: Scope) -> Query:
    """Ask for generations whose credits the provider may have moved long before our entry, or without one."""
    return Query(
        name="late and undecided holds",
        sql=f"""
    SELECT g.account_id, a.held_at, g.first_sent_at, a.reserved_at, a.matched_at, a.corrected_at, g.id AS generation_id,
        b.id AS batch_id, b.name AS batch, j.id AS job_id, j.key, {_WHOLE}
    FROM ({_attempts(scope)}) a JOIN generation g ON g.id = a.generation_id JOIN job j ON j.id = g.job_id
    JOIN batch b ON b.id = a.batch_id
    WHERE a.in_held > 0 OR a.corrected <> 0
       OR (a.reserved_at > g.first_sent_at + interval '2 minutes')
       OR (a.release > 0 AND a.matched_at > a.reserved_at + interval '2 minutes')
    ORDER BY a.held_at, g.id
    """,
        values={"as_of": scope.as_of},
    )


def variances(scope: Scope) -> Query:
    """Ask for every generation whose figures disagree, or that was paid for and has no image."""
    return Query(
        name="variances",
        sql=f"""
    SELECT b.id AS batch_id, b.name AS batch, j.key, j.id AS job_id, g.id AS generation_id, a.held_at, a.reserved_at,
        a.matched_at, r.generation_id IS NOT NULL AS has_image, {_WHOLE}
    FROM ({_attempts(scope)}) a JOIN generation g ON g.id = a.generation_id JOIN job j ON j.id = g.job_id
    JOIN batch b ON b.id = a.batch_id
    LEFT JOIN result r ON r.generation_id = g.id AND r.recorded_at <= :as_of
    WHERE a.top_up > 0 OR a.trim > 0 OR a.overrun > 0 OR a.release > 0 OR a.corrections > 0
       OR a.in_held > 0 OR a.in_reserved > 0 OR (a.in_spent > 0 AND r.generation_id IS NULL)
    ORDER BY a.held_at, g.id
    """,
        values={"as_of": scope.as_of},
    )
