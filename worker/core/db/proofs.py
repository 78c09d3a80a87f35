"""Queries that must find nothing: each looks for rows that contradict one rule of the books."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A rule, and the query of the rows that break it: the first column names the row, the others say how."""

    name: str
    rule: str
    query: str
    noted: str | None = None
    """Gives what is worth a word although the rule holds."""


def _into(account: str) -> str:
    return (
        f"sum(CASE WHEN e.target = '{account}' THEN e.credits WHEN e.source = '{account}' THEN -e.credits ELSE 0 END)"
    )


_COMMITTED = "sum(CASE WHEN e.source = 'cap' THEN e.credits WHEN e.target = 'cap' THEN -e.credits ELSE 0 END)"

# The provider's figure for a model is known from the last one that differed from its hold (decision 0017). A top-up is
# excused when that figure was lower, or not there yet, when the generation was admitted; moments are given for rounds
# of dispatch that had begun before the figure was written down.
_OVER_CAP = """
    WITH over_cap AS (SELECT id, credit_cap, committed FROM batch WHERE committed > credit_cap),
    drift AS MATERIALIZED (
        SELECT g.id, g.batch_id, g.account_id, j.model, g.admitted_at, g.accepted_at, g.held, g.reserved
        FROM generation g JOIN job j ON j.id = g.job_id
        WHERE g.reserved <> g.held AND EXISTS (SELECT FROM over_cap)),
    raised AS (
        SELECT d.batch_id, sum(d.reserved - d.held) AS credits FROM drift d
        LEFT JOIN LATERAL (
            SELECT k.reserved FROM drift k WHERE k.account_id = d.account_id AND k.model = d.model
                AND k.accepted_at < d.admitted_at - interval '10 seconds'
            ORDER BY k.accepted_at DESC, k.id DESC LIMIT 1) known ON true
        WHERE d.reserved > d.held AND d.batch_id IN (SELECT id FROM over_cap)
            AND (known.reserved IS NULL OR known.reserved < d.reserved)
        GROUP BY d.batch_id),
    beyond AS (
        SELECT batch_id, sum(credits) FILTER (WHERE kind = 'overrun') AS overruns,
            sum(CASE WHEN source = 'cap' THEN credits ELSE -credits END) FILTER (
                WHERE kind = 'correct' AND 'cap' IN (source, target)) AS corrected
        FROM credit_entry WHERE batch_id IN (SELECT id FROM over_cap) GROUP BY batch_id)
    SELECT o.id, o.credit_cap, o.committed, o.committed - o.credit_cap AS over_by, coalesce(r.credits, 0) AS top_ups,
        coalesce(b.overruns, 0) AS overruns, coalesce(b.corrected, 0) AS corrected,
        coalesce(r.credits, 0) + coalesce(b.overruns, 0) + greatest(coalesce(b.corrected, 0), 0) AS excused
    FROM over_cap o LEFT JOIN raised r ON r.batch_id = o.id LEFT JOIN beyond b ON b.batch_id = o.id"""

PROOFS: tuple[Proof, ...] = (
    Proof(
        name="committed",
        rule="what a batch has committed is what its entries say that it holds, reserved and spent",
        query=f"""
            SELECT batch.id, batch.committed, coalesce(b.committed, 0) AS by_entries FROM batch LEFT JOIN (
                SELECT e.batch_id, {_COMMITTED} AS committed FROM credit_entry e GROUP BY e.batch_id) b
                ON b.batch_id = batch.id
            WHERE batch.committed <> coalesce(b.committed, 0)""",
    ),
    Proof(
        name="cap",
        rule="no batch has committed more than its cap, but by what the provider took beyond the known price",
        query=f"SELECT * FROM ({_OVER_CAP}) o WHERE over_by > excused",
        noted=f"SELECT * FROM ({_OVER_CAP}) o WHERE over_by <= excused",
    ),
    Proof(
        name="owner_months",
        rule="what an owner has committed in a month is what the entries say of the generations held in it",
        query=f"""
            SELECT coalesce(m.owner, e.owner) AS owner, coalesce(m.month, e.month) AS month, m.committed, e.by_entries
            FROM owner_month m FULL JOIN (
                SELECT batch.owner, date_trunc('month', g.admitted_at AT TIME ZONE 'UTC')::date AS month,
                    {_COMMITTED} AS by_entries
                FROM credit_entry e JOIN batch ON batch.id = e.batch_id JOIN generation g ON g.id = e.generation_id
                GROUP BY 1, 2) e ON e.owner = m.owner AND e.month = m.month
            WHERE coalesce(m.committed, 0) <> coalesce(e.by_entries, 0)""",
    ),
    Proof(
        name="entries_follow_state",
        rule="every generation has exactly the figures and the balances that its state implies, none below zero",
        query=f"""
            SELECT g.id, g.state, b.held, b.reserved, b.spent, g.held AS promised, b.held_once AS promised_by_entries,
                g.reserved AS answered, b.reserved_once AS answered_by_entries, g.final
            FROM generation g LEFT JOIN (
                SELECT e.generation_id, {_into("held")} AS held, {_into("reserved")} AS reserved,
                    {_into("spent")} AS spent, sum(e.credits) FILTER (WHERE e.kind = 'hold') AS held_once,
                    sum(e.credits) FILTER (WHERE e.kind IN ('reserve', 'top_up')) AS reserved_once
                FROM credit_entry e GROUP BY e.generation_id) b ON b.generation_id = g.id
            WHERE g.held <> coalesce(b.held_once, 0) OR coalesce(g.reserved, 0) <> coalesce(b.reserved_once, 0)
               OR least(b.held, b.reserved, b.spent) < 0
               OR (coalesce(b.held, 0), coalesce(b.reserved, 0), coalesce(b.spent, 0)) IS DISTINCT FROM
                CASE WHEN g.state IN ('held', 'sending') THEN (g.held::numeric, 0::numeric, 0::numeric)
                     WHEN g.state = 'accepted' THEN (0::numeric, g.reserved::numeric, 0::numeric)
                     WHEN g.state IN ('succeeded', 'failed') THEN (0::numeric, 0::numeric, g.final::numeric)
                     WHEN g.state IN ('refused', 'void') THEN (0::numeric, 0::numeric, coalesce(g.final, 0)::numeric)
                     WHEN g.reserved IS NULL THEN (g.held::numeric, 0::numeric, 0::numeric)
                     ELSE (0::numeric, g.reserved::numeric, 0::numeric) END""",
    ),
    Proof(
        name="one_live_generation",
        rule="no job has two generations that may both still be charged",
        query="""
            SELECT job_id, count(*) AS live FROM generation
            WHERE state IN ('held', 'sending', 'accepted', 'in_doubt') GROUP BY job_id HAVING count(*) > 1""",
    ),
    Proof(
        name="generations_counted",
        rule="every paid attempt that a job counts is there",
        query="""
            SELECT j.id, j.generations, count(g.id) AS found FROM job j LEFT JOIN generation g ON g.job_id = j.id
            GROUP BY j.id, j.generations HAVING j.generations <> count(g.id)""",
    ),
    Proof(
        name="active_has_step",
        rule="every active job has a scheduled step, and only active jobs have one",
        query="""
            SELECT coalesce(j.id, s.job_id) AS id, j.state, s.kind
            FROM (SELECT * FROM job WHERE state = 'active') j FULL JOIN step s ON s.job_id = j.id
            WHERE j.id IS NULL OR s.job_id IS NULL""",
    ),
    Proof(
        name="step_follows_generation",
        rule="a step works on a generation that is in the state which its kind needs",
        query="""
            SELECT s.job_id, s.kind, g.state FROM step s JOIN generation g ON g.id = s.generation_id
            WHERE g.job_id <> s.job_id OR NOT CASE s.kind
                WHEN 'upload' THEN g.state IN ('held', 'sending') WHEN 'submit' THEN g.state IN ('held', 'sending')
                WHEN 'poll' THEN g.state = 'accepted' ELSE g.state = 'succeeded' END""",
    ),
    Proof(
        name="ended_has_no_open_generation",
        rule="a job that ended leaves no generation open, and one in doubt exactly the one in doubt",
        query="""
            SELECT j.id, j.state, g.id AS generation, g.state AS generation_state
            FROM generation g JOIN job j ON j.id = g.job_id
            WHERE (g.state IN ('held', 'sending', 'accepted') AND j.state <> 'active')
               OR (g.state = 'in_doubt' AND j.state <> 'in_doubt')""",
    ),
    Proof(
        name="succeeded_has_result",
        rule="every job that succeeded, and no other, has a stored image and the generation that made it",
        query="""
            SELECT coalesce(j.id, r.job_id) AS id, j.state, r.path, g.state AS generation_state
            FROM (SELECT * FROM job WHERE state = 'succeeded') j FULL JOIN result r ON r.job_id = j.id
            LEFT JOIN generation g ON g.id = r.generation_id
            WHERE j.id IS NULL OR r.job_id IS NULL OR g.state IS DISTINCT FROM 'succeeded'""",
    ),
)


def contradictions(tx: Connection, proof: Proof, *, limit: int) -> tuple[int, list[Mapping[str, Any]]]:
    """Return how many rows break the rule, and the first of them."""
    # The query is one of the constants above.
    count: int = tx.execute(text(f"SELECT count(*) FROM ({proof.query}) broken")).scalar_one()
    return count, _first(tx, proof.query, limit=limit) if count else []


def notes(tx: Connection, proof: Proof, *, limit: int) -> list[Mapping[str, Any]]:
    """Return the first rows worth reporting although the rule holds."""
    return [] if proof.noted is None else _first(tx, proof.noted, limit=limit)


def _first(tx: Connection, query: str, *, limit: int) -> list[Mapping[str, Any]]:
    rows = tx.execute(text(f"SELECT * FROM ({query}) found ORDER BY 1 LIMIT :limit"), {"limit": limit})
    return [dict(row) for row in rows.mappings()]


_TOTALS = f"""
    SELECT (SELECT count(*) FROM batch) AS batches, (SELECT count(*) FROM job) AS jobs,
        (SELECT count(*) FROM generation) AS generations, (SELECT count(*) FROM credit_entry) AS entries,
        (SELECT count(*) FROM result) AS results,
        coalesce({_into("held")}, 0)::bigint AS held, coalesce({_into("reserved")}, 0)::bigint AS reserved,
        coalesce({_into("spent")}, 0)::bigint AS spent
    FROM credit_entry e"""


def totals(tx: Connection) -> dict[str, int]:
    """Count the rows and sum the credits of the whole database."""
    return dict(tx.execute(text(_TOTALS)).mappings().one())
