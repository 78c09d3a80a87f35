"""Erased prompts and references: what would be erased, the function that erases, and what verify says of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.db.proofs import Proof
from worker.engine.queries.failures import HASH

JOBS_AT_ONCE = 5_000
"""The most that one transaction erases, so that its locks and the memory for its rows stay small."""

_ENDED = "('succeeded', 'failed', 'cancelled')"


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a person wants erased: one job, all of a batch, or one reference image."""

    subject: str
    """As the log of changes names it."""
    job_id: UUID | None = None
    batch_id: UUID | None = None
    image: str | None = None
    """SHA-256 of a reference."""


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """Why a target cannot be erased yet."""

    live: int
    """Jobs that have not ended."""
    in_doubt: int
    """Jobs of which it is not known whether they were charged."""
    batch_id: UUID | None
    """The batch of one of those."""
    catalog: str | None
    """A catalog that still has an item whose image is among the jobs."""
    sku: str | None


_CHOSEN = """
    job j WHERE j.erased_at IS NULL AND (j.id = :job_id OR j.batch_id = :batch_id)"""
_USES_IMAGE = "(j.reference_hash = :image OR :image = ANY(j.further_references))"

_OBSTACLE = text(f"""
    WITH chosen AS (SELECT j.id, j.batch_id, j.state FROM {_CHOSEN}
        UNION SELECT j.id, j.batch_id, j.state FROM job j WHERE {_USES_IMAGE}),
    item AS (
        SELECT c.name, i.sku FROM catalog_item i JOIN catalog c ON c.id = i.catalog_id
        WHERE i.removed_at IS NULL AND c.removed_at IS NULL AND (
            i.reference_hash = :image OR :image = ANY(i.further_references) OR i.id IN (
                SELECT r.item_id FROM catalog_render r
                JOIN (SELECT j.id FROM {_CHOSEN}) k ON k.id = r.job_id)) LIMIT 1)
    SELECT count(*) FILTER (WHERE state NOT IN {_ENDED} AND state <> 'in_doubt') AS live,
        count(*) FILTER (WHERE state = 'in_doubt') AS in_doubt,
        (min(batch_id::text) FILTER (WHERE state NOT IN {_ENDED}))::uuid AS batch_id,
        (SELECT name FROM item) AS catalog, (SELECT sku FROM item) AS sku
    FROM chosen""")


def obstacle(tx: Connection, target: Target) -> Obstacle | None:
    """Return what keeps the target from being erased; None: nothing does."""
    found = Obstacle(**tx.execute(_OBSTACLE, _named(target)).mappings().one())
    return found if found.live or found.in_doubt or found.catalog is not None else None


_COUNTS = text(f"""
    WITH chosen AS (SELECT j.* FROM {_CHOSEN}), attempt AS (
        SELECT g.* FROM generation g WHERE g.job_id IN (SELECT id FROM chosen))
    SELECT (SELECT count(*) FROM chosen) AS job,
        (SELECT count(*) FROM attempt WHERE body IS NOT NULL OR error_message IS NOT NULL) AS generation,
        (SELECT count(*) FROM call WHERE generation_id IN (SELECT id FROM attempt) AND message IS NOT NULL) AS call,
        (SELECT count(*) FROM generation_reading WHERE generation_id IN (SELECT id FROM attempt)
            AND message IS NOT NULL) AS generation_reading,
        (SELECT count(*) FROM catalog_render WHERE job_id IN (SELECT id FROM chosen)) AS catalog_render,
        (SELECT count(*) FROM refused_line WHERE batch_id = :batch_id AND left(reason, 11) <> '(erased on ')
            AS refused_line,
        (SELECT count(*) FROM refused_message WHERE batch_id = :batch_id AND raw <> '') AS refused_message,
        (SELECT count(*) FROM reference r WHERE r.erased_at IS NULL AND (r.sha256 = :image OR (
            r.sha256 IN (SELECT unnest(c.reference_hash || c.further_references) FROM chosen c)
            AND NOT EXISTS (SELECT FROM job o WHERE o.erased_at IS NULL AND o.id NOT IN (SELECT id FROM chosen)
                AND (o.reference_hash = r.sha256 OR r.sha256 = ANY(o.further_references)))
            AND NOT EXISTS (SELECT FROM catalog_item i JOIN catalog k ON k.id = i.catalog_id
                WHERE i.removed_at IS NULL AND k.removed_at IS NULL
                AND (i.reference_hash = r.sha256 OR r.sha256 = ANY(i.further_references)))))) AS reference""")


def count(tx: Connection, target: Target) -> Mapping[str, int]:
    """Return how many rows of each table an erasure would change; all are zero when nothing is left to erase."""
    return dict(tx.execute(_COUNTS, _named(target)).mappings().one())


_NEXT = text(f"SELECT j.id FROM {_CHOSEN} ORDER BY j.id LIMIT :limit")


def next_jobs(tx: Connection, target: Target) -> list[UUID]:
    """Return the next jobs of the target that are not erased, as many as one transaction erases."""
    return list(tx.execute(_NEXT, {**_named(target), "limit": JOBS_AT_ONCE}).scalars())


_ERASE = text("""
    SELECT erase_texts(:subject, CAST(:jobs AS uuid[]), CAST(:batch_id AS uuid), CAST(:images AS text[]), :actor,
        :reason)""")


# The function forgets those of the batch's account alone; a job of a pool may have failed at another one.
_FORGET_PROMPTS = text(f"""
    DELETE FROM prompt_failure f USING job j
    WHERE j.id = ANY(:jobs) AND f.model = j.model AND f.prompt_hash = {HASH.format("j.prompt")}""")


def erase(tx: Connection, target: Target, jobs: Sequence[UUID], *, actor: str, reason: str) -> UUID:
    """Erase the texts of these jobs, and the references that nothing needs any more; gives the erasure's id."""
    tx.execute(_FORGET_PROMPTS, {"jobs": list(jobs)})
    values = {
        "subject": target.subject,
        "jobs": list(jobs),
        "batch_id": target.batch_id,
        "images": [] if target.image is None else [target.image],
        "actor": actor,
        "reason": reason,
    }
    number: UUID = tx.execute(_ERASE, values).scalar_one()
    return number


_TOUCHED = text("SELECT DISTINCT seal_id, kind FROM erased_row WHERE erasure_id = :id ORDER BY seal_id, kind")


def touched(tx: Connection, erasure_id: UUID) -> list[tuple[int, str]]:
    """Return the seals and kinds of facts in whose digests an erasure changed rows."""
    return [(row.seal_id, row.kind) for row in tx.execute(_TOUCHED, {"id": erasure_id})]


# The last sealed row of an archived batch is not after ``sealed_until``; when its first one was is not recorded.
_BESIDE = text("""
    SELECT a.batch_id FROM archived_batch a WHERE EXISTS (
        SELECT FROM erased_row r WHERE r.erasure_id = :id AND a.sealed_until > coalesce((
            SELECT max(s.sealed_at) FROM seal_fact f JOIN seal s ON s.id = f.seal_id WHERE f.seal_id < r.seal_id
        ), '-infinity')) ORDER BY a.batch_id""")


def archived_beside(tx: Connection, erasure_id: UUID) -> list[UUID]:
    """Return the archived batches that may have a row in a sealed period in which an erasure changed rows."""
    return list(tx.execute(_BESIDE, {"id": erasure_id}).scalars())


_FILES = text("""
    SELECT r.sha256 FROM reference r WHERE r.erased_at IS NOT NULL AND (r.sha256 = :image OR r.sha256 IN (
        SELECT unnest(j.reference_hash || j.further_references) FROM job j
        WHERE j.id = :job_id OR j.batch_id = :batch_id)) ORDER BY r.sha256""")


def erased_images(tx: Connection, target: Target) -> list[str]:
    """Return the SHA-256 of each reference of the target that is erased: its file has to go, if it is still there."""
    return list(tx.execute(_FILES, _named(target)).scalars())


_STILL = text("SELECT sha256 FROM reference WHERE erased_at IS NOT NULL AND sha256 = ANY(:images) ORDER BY sha256")


def still_erased(tx: Connection, images: Sequence[str]) -> list[str]:
    """Return those of the references that were not submitted again since."""
    return list(tx.execute(_STILL, {"images": list(images)}).scalars())


@dataclass(frozen=True, kw_only=True)
class ErasureRow:
    """What an erasure did."""

    id: UUID
    subject: str
    jobs: int
    reference_images: int
    erased_at: datetime
    sealed_rows: int
    """Rows of sealed digests that it changed."""


_READ = text("""
    SELECT a.id, a.subject, a.jobs, a.reference_images, a.erased_at,
        (SELECT count(*) FROM erased_row r WHERE r.erasure_id = a.id) AS sealed_rows
    FROM erasure a WHERE a.id = :id""")


def read(tx: Connection, erasure_id: UUID) -> ErasureRow:
    """Return an erasure."""
    return ErasureRow(**tx.execute(_READ, {"id": erasure_id}).mappings().one())


def _named(target: Target) -> dict[str, object]:
    return {"job_id": target.job_id, "batch_id": target.batch_id, "image": target.image}


PROOFS = (
    Proof(
        name="erasures",
        rule="what was erased says so: an erasure is in the log of changes, and hides no row that was not erased",
        query=f"""
            SELECT a.id AS erasure, a.subject, 'not in the log of changes as it is' AS fault FROM erasure a
            WHERE NOT EXISTS (SELECT FROM change c WHERE c.id = a.id AND c.subject = a.subject AND c.field = 'erased'
                AND c.actor = a.actor AND c.reason = a.reason AND c.changed_at = a.erased_at AND c.login = a.login)
            UNION ALL
            SELECT r.erasure_id, r.kind || ' of seal ' || r.seal_id || ' at ' || r.key, 'its job was not erased'
            FROM erased_row r
            LEFT JOIN credit_entry e ON e.id = CASE WHEN r.kind NOT IN ('call', 'generation_reading')
                AND r.key ~ '^[0-9]{{1,18}}$' THEN r.key::bigint END
            LEFT JOIN call c ON c.id = CASE WHEN r.kind = 'call' AND r.key ~ '^[0-9]{{1,18}}$' THEN r.key::bigint END
            LEFT JOIN generation_reading n ON n.id = CASE WHEN r.kind = 'generation_reading'
                AND r.key ~ '^[0-9a-f-]{{36}}$' THEN r.key::uuid END
            LEFT JOIN generation g ON g.id = coalesce(e.generation_id, c.generation_id, n.generation_id)
            LEFT JOIN job j ON j.id = g.job_id
            WHERE r.kind NOT IN ('batch', 'salted_batch')
                AND (j.erased_at IS NULL OR left(j.prompt, 11) <> '(erased on ' OR g.body <> '')
            UNION ALL
            SELECT NULL, 'job:' || j.id, 'it says that it was erased, and was not' FROM job j
            WHERE j.erased_at IS NOT NULL AND j.state IN {_ENDED} AND NOT EXISTS (
                SELECT FROM erasure a WHERE a.erased_at = j.erased_at)""",
        noted="""
            SELECT a.subject, a.jobs, a.reference_images, (SELECT count(*) FROM erased_row r WHERE r.erasure_id = a.id)
                AS sealed_rows, a.erased_at, a.actor, a.login, a.reason FROM erasure a ORDER BY a.erased_at, a.id""",
    ),
)
