"""Failed jobs of a catalog that are asked for once more: their images are on their way again, if still wanted."""

from uuid import UUID

from sqlalchemy import Connection, text

STILL_WANTED = """NOT EXISTS (
    SELECT FROM catalog_render r JOIN catalog_item i ON i.id = r.item_id
    WHERE r.job_id = job.id AND (r.state NOT IN ('planned', 'failed') OR i.removed_at IS NOT NULL))"""
"""Condition on a failed ``job``: it is no catalog's, or its catalog has neither removed the item nor gone on without
the image."""

# The order of all who change images: the catalog, then the batch, then its jobs.
_LOCK = text("""
    SELECT FROM catalog WHERE id IN (
        SELECT i.catalog_id FROM job j JOIN catalog_render r ON r.job_id = j.id JOIN catalog_item i ON i.id = r.item_id
        WHERE j.batch_id = :id) ORDER BY id FOR NO KEY UPDATE""")


def lock(tx: Connection, batch_id: UUID) -> None:
    """Lock the catalog whose images the batch makes, if it is one's; taken before the batch is locked."""
    tx.execute(_LOCK, {"id": batch_id})


def count_unwanted(tx: Connection, batch_id: UUID, *, code: str | None) -> int:
    """Count the batch's failed jobs (with that failure code, if given) whose images nobody waits for any more."""
    query = f"""
        SELECT count(*) FROM job
        WHERE batch_id = :id AND state = 'failed' AND (CAST(:code AS text) IS NULL OR failure_code = :code)
          AND NOT {STILL_WANTED}"""
    count: int = tx.execute(text(query), {"id": batch_id, "code": code}).scalar_one()
    return count


def put_back(tx: Connection, batch_id: UUID) -> None:
    """Let the failed images whose jobs go on again be under way, so that no plan asks for them beside that."""
    tx.execute(
        text("""
            UPDATE catalog_render r SET state = 'planned', rendered_at = NULL FROM job j
            WHERE j.id = r.job_id AND j.batch_id = :id AND j.state IN ('pending', 'active') AND r.state = 'failed'"""),
        {"id": batch_id},
    )
