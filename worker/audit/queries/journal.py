"""The journal: every entry with what it was for, every change by a person, and the whole life of one job."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

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


def changes(*, as_of: datetime, subject: str | None) -> Query:
    """Ask for every change up to the instant, oldest first; ``subject`` may be the beginning of one."""
    limit = " AND starts_with(h.subject, :subject)" if subject is not None else ""
    return Query(
        name="changes",
        sql=f"""
    SELECT h.changed_at, h.subject, h.field, h.before, h.after, h.actor, h.login, h.reason, h.id
    FROM change h WHERE h.changed_at <= :as_of{limit} ORDER BY h.changed_at, h.id
    """,
        values={"as_of": as_of} if subject is None else {"as_of": as_of, "subject": subject},
    )


_FIND_JOB = text("""
    SELECT job_id FROM generation WHERE provider_id = :name OR id = CAST(:id AS uuid)
    UNION SELECT id FROM job WHERE id = CAST(:id AS uuid)""")


def find_job(tx: Connection, name: str) -> UUID | None:
    """Return the job that has this id, or whose generation has this id, provider's id or idempotency key."""
    try:
        # An idempotency key is its generation's id with a prefix.
        given = UUID(name.removeprefix("darkroom-"))
    except ValueError:
        given = None
    return tx.execute(_FIND_JOB, {"name": name, "id": given}).scalar()


def job(job_id: UUID) -> Query:
    """Ask for the order of a job: prompt, parameters and references."""
    return Query(
        name="job",
        sql="""
    SELECT j.id AS job_id, j.line, j.key, j.model, j.prompt, j.params,
        nullif(concat_ws(' ', j.reference_hash, array_to_string(j.further_references, ' ')), '') AS reference_hash,
        j.fingerprint, j.price,
        j.created_at, b.id AS batch_id, b.name AS batch, b.owner, b.purpose
    FROM job j JOIN batch b ON b.id = j.batch_id WHERE j.id = :job_id
    """,
        values={"job_id": job_id},
    )


def generations_of_job(job_id: UUID, *, as_of: datetime) -> Query:
    """Ask for its paid attempts."""
    return Query(
        name="generations",
        sql="""
    SELECT g.number, g.id, g.idempotency_key, a.name AS account, g.admitted_at, g.held,
        CASE WHEN e.decided_at IS NOT NULL THEN encode(sha256(g.body), 'hex') END AS body_sha256,
        CASE WHEN e.decided_at IS NOT NULL THEN g.sends END AS sends,
        CASE WHEN e.decided_at IS NOT NULL THEN g.first_sent_at END AS first_sent_at,
        CASE WHEN e.taken THEN g.provider_id END AS provider_id,
        e.decided_at, e.reserved, e.matched_at, e.spent
    FROM generation g JOIN account a ON a.id = g.account_id
    JOIN (SELECT generation_id, min(posted_at) FILTER (WHERE source = 'held') AS decided_at,
              coalesce(bool_or(kind IN ('reserve', 'trim')), false) AS taken,
              (sum(credits) FILTER (WHERE kind IN ('reserve', 'top_up')))::bigint AS reserved,
              max(posted_at) FILTER (WHERE source = 'reserved' OR target = 'spent') AS matched_at,
              (sum(CASE WHEN target = 'spent' THEN credits WHEN source = 'spent' THEN -credits END))::bigint AS spent
          FROM credit_entry WHERE posted_at <= :as_of
              AND generation_id IN (SELECT id FROM generation WHERE job_id = :job_id)
          GROUP BY generation_id) e ON e.generation_id = g.id
    WHERE g.job_id = :job_id ORDER BY g.number
    """,
        values={"job_id": job_id, "as_of": as_of},
    )


def entries_of_job(job_id: UUID, *, as_of: datetime) -> Query:
    """Ask for every entry of its attempts."""
    return Query(
        name="entries",
        sql="""
    SELECT e.id, e.posted_at, g.number, e.kind, e.source, e.target, e.credits, e.actor, e.reason
    FROM generation g JOIN credit_entry e ON e.generation_id = g.id
    WHERE g.job_id = :job_id AND e.posted_at <= :as_of ORDER BY e.id
    """,
        values={"job_id": job_id, "as_of": as_of},
    )


def images_of_job(job_id: UUID, *, as_of: datetime) -> Query:
    """Return the query for downloaded results."""
    return Query(
        name="images",
        sql="""
    SELECT g.number, r.path, r.sha256, r.size_bytes, r.mime_type, r.width, r.height, r.stored_at
    FROM result r JOIN generation g ON g.id = r.generation_id
    WHERE r.job_id = :job_id AND r.recorded_at <= :as_of ORDER BY g.number
    """,
        values={"job_id": job_id, "as_of": as_of},
    )


def calls_of_job(job_id: UUID, *, as_of: datetime) -> Query:
    """Ask for every outside call that was made for it."""
    return Query(
        name="calls",
        sql="""
    SELECT c.id, c.started_at, c.ended_at, g.number, c.kind, c.send,
        CASE WHEN c.kind = 'create' THEN g.idempotency_key END AS idempotency_key,
        c.outcome, c.http_status, c.code, c.message, c.request_id, c.provider_id, c.size_bytes
    FROM call c JOIN generation g ON g.id = c.generation_id
    WHERE g.job_id = :job_id AND c.recorded_at <= :as_of ORDER BY c.started_at, c.id
    """,
        values={"job_id": job_id, "as_of": as_of},
    )
