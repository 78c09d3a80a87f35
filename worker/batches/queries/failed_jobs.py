"""Failed jobs to retry: paid ones download their image again, the others are rendered anew."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.engine.queries.steps import first_fence

STILL_WANTED = """NOT EXISTS (
    SELECT FROM catalog_render r JOIN catalog_item i ON i.id = r.item_id
    WHERE r.job_id = job.id AND (r.state NOT IN ('planned', 'failed') OR i.removed_at IS NOT NULL))"""
"""Condition on a failed ``job``: it is no catalog's, or its catalog has neither removed the item nor gone on without
the image."""
ORDERABLE = """job.erased_at IS NULL AND NOT EXISTS (
    SELECT FROM reference r WHERE r.erased_at IS NOT NULL
        AND (r.sha256 = job.reference_hash OR r.sha256 = ANY(job.further_references)))"""
"""Condition on a failed ``job``: neither its prompt nor one of its references was erased."""
# The image of a generation that succeeded may still be there, whatever became of the job; it is there no more when
# it was asked for once more and the provider said so, or gave the same file that is no image.
_FAILED = f"""
    SELECT job.id, job.price, g.id AS generation_id, g.account_id,
        coalesce(g.state = 'succeeded' AND NOT (
            g.recalls > 0 AND job.failure_code IN ('result_gone', 'result_not_an_image')), false) AS is_paid
    FROM job LEFT JOIN generation g ON g.job_id = job.id AND g.number = job.generations
    WHERE job.batch_id = {{batch}} AND job.state = 'failed' AND {ORDERABLE}
      AND (CAST(:code AS text) IS NULL OR job.failure_code = :code)
      AND NOT EXISTS (SELECT FROM archived_batch WHERE batch_id = {{batch}})
      AND {STILL_WANTED}"""
_CHOSEN = _FAILED.format(batch=":id")
PRICE = f"""
    SELECT count(*) FILTER (WHERE NOT is_paid) AS jobs,
        coalesce(sum(price) FILTER (WHERE NOT is_paid), 0)::bigint AS credits,
        count(*) FILTER (WHERE is_paid) AS recalled
    FROM ({_FAILED}) chosen"""
"""What a retry of the batch that ``{batch}`` stands for would reach, of failures with ``:code`` or of all."""
_PRICE = text(PRICE.format(batch=":id"))


def price(tx: Connection, batch_id: UUID, *, code: str | None) -> dict[str, int]:
    """Count the batch's failed jobs (with that failure code, if given), and the credits that they would hold.

    ``recalled`` are those that would be asked for their paid image, which costs nothing.
    """
    row = tx.execute(_PRICE, {"id": batch_id, "code": code}).one()
    return dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name


# One attempt is counted at once: a first try would go to the known address, a later one asks the provider for it.
_RECALL = text(f"""
    WITH chosen AS (SELECT * FROM ({_CHOSEN} FOR UPDATE OF job) c WHERE is_paid),
    active AS (UPDATE job SET state = 'active', ended_at = NULL FROM chosen WHERE job.id = chosen.id),
    undone AS (UPDATE batch SET done_at = NULL WHERE id = :id AND EXISTS (SELECT FROM chosen)),
    counted AS (UPDATE generation SET recalls = recalls + 1 FROM chosen WHERE generation.id = chosen.generation_id)
    INSERT INTO step (account_id, job_id, generation_id, kind, priority, due_at, attempts, fence, since)
    SELECT chosen.account_id, chosen.id, generation_id, 'collect', b.priority, :now, 1, :fence, :now
    FROM chosen JOIN batch b ON b.id = :id""")


def recall(tx: Connection, batch_id: UUID, *, code: str | None, now: datetime) -> int:
    """Return the batch's paid failed jobs to collecting their image; returns how many. The batch is locked."""
    return tx.execute(_RECALL, {"id": batch_id, "code": code, "now": now, "fence": first_fence(now)}).rowcount


_PUT_BACK = text(f"""
    WITH again AS (
        UPDATE job SET state = 'pending', ended_at = NULL, failures = 0
        FROM ({_CHOSEN}) chosen WHERE job.id = chosen.id AND NOT chosen.is_paid AND job.state = 'failed'
        RETURNING job.price),
    opened AS (
        UPDATE batch SET has_pending = true, done_at = NULL,
            state = CASE WHEN state = 'paused' THEN state ELSE 'open' END
        WHERE id = :id AND EXISTS (SELECT FROM again))
    SELECT count(*), coalesce(sum(price), 0)::bigint FROM again""")


def put_back(tx: Connection, batch_id: UUID, *, code: str | None) -> tuple[int, int]:
    """Return the batch's other failed jobs to pending, each for a new generation; returns how many, and their price.

    A cancelled batch is open again; in one that is paused they wait with the others.
    """
    row = tx.execute(_PUT_BACK, {"id": batch_id, "code": code}).one()
    return row[0], row[1]


@dataclass(frozen=True, kw_only=True)
class FailureGroup:
    """Failed jobs of one batch with one code."""

    code: str
    jobs: int
    key: str
    """Of the first of them in line order."""
    message: str | None
    """What was said about that one."""


_BY_CODE = text("""
    SELECT coalesce(failure_code, 'unknown') AS code, count(*) AS jobs, (array_agg(key ORDER BY line))[1] AS key,
        (array_agg(failure_message ORDER BY line))[1] AS message
    FROM job WHERE batch_id = :batch_id AND state = 'failed' GROUP BY 1 ORDER BY 2 DESC, 1""")


def by_code(tx: Connection, batch_id: UUID) -> list[FailureGroup]:
    """Group a batch's failed jobs by code, the most frequent first."""
    rows = tx.execute(_BY_CODE, {"batch_id": batch_id}).mappings()
    return [FailureGroup(**row) for row in rows]


# The order of all who change images: the catalog, then the batch, then its jobs.
_LOCK = text("""
    SELECT FROM catalog WHERE id IN (
        SELECT i.catalog_id FROM job j JOIN catalog_render r ON r.job_id = j.id JOIN catalog_item i ON i.id = r.item_id
        WHERE j.batch_id = :id) ORDER BY id FOR NO KEY UPDATE""")


def lock_catalog_of(tx: Connection, batch_id: UUID) -> None:
    """Lock the catalog whose images the batch makes, if it is one's; taken before the batch is locked."""
    tx.execute(_LOCK, {"id": batch_id})


def count_unwanted(tx: Connection, batch_id: UUID, *, code: str | None) -> int:
    """Count the batch's failed jobs (with that failure code, if given) whose images the catalog no longer waits for."""
    query = f"""
        SELECT count(*) FROM job
        WHERE batch_id = :id AND state = 'failed' AND (CAST(:code AS text) IS NULL OR failure_code = :code)
          AND NOT {STILL_WANTED}"""
    count: int = tx.execute(text(query), {"id": batch_id, "code": code}).scalar_one()
    return count


def count_erased(tx: Connection, batch_id: UUID, *, code: str | None) -> int:
    """Count the batch's failed jobs (with that failure code, if given) of which something was erased."""
    query = f"""
        SELECT count(*) FROM job
        WHERE batch_id = :id AND state = 'failed' AND (CAST(:code AS text) IS NULL OR failure_code = :code)
          AND NOT ({ORDERABLE})"""
    count: int = tx.execute(text(query), {"id": batch_id, "code": code}).scalar_one()
    return count


def put_back_of_catalog(tx: Connection, batch_id: UUID) -> None:
    """Mark the failed images of retried jobs as under way, so that no plan renders them as well."""
    tx.execute(
        text("""
            UPDATE catalog_render r SET state = 'planned', rendered_at = NULL FROM job j
            WHERE j.id = r.job_id AND j.batch_id = :id AND j.state IN ('pending', 'active') AND r.state = 'failed'"""),
        {"id": batch_id},
    )
