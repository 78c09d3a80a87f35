"""Which batches can be archived, and what keeps the others."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.archive.rules.candidates import Obstacle


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A batch whose jobs have ended before the day, or that has work left; ``obstacle`` None: it can be archived."""

    batch_id: UUID
    name: str
    owner: str
    jobs: int
    obstacle: Obstacle | None


# Up to here entries and the facts of their periods are bound by seals.
CLOSED = """
    SELECT s.last_entry_id, s.sealed_at FROM seal s WHERE s.id = (SELECT max(seal_id) FROM seal_fact)"""
_LIVE = "('held', 'sending', 'accepted', 'in_doubt')"
_OBSTACLE = f"""
    CASE
        WHEN EXISTS (SELECT FROM job j WHERE j.batch_id = b.id AND j.state IN ('pending', 'active'))
            OR EXISTS (SELECT FROM job j JOIN step s ON s.job_id = j.id WHERE j.batch_id = b.id)
            THEN 'unfinished'
        WHEN EXISTS (SELECT FROM job j WHERE j.batch_id = b.id AND j.state = 'in_doubt') OR EXISTS (
                SELECT FROM job j JOIN generation g ON g.job_id = j.id WHERE j.batch_id = b.id AND g.state IN {_LIVE})
            THEN 'in_doubt'
        WHEN EXISTS (
                SELECT FROM job j JOIN generation g ON g.job_id = j.id LEFT JOIN result r ON r.generation_id = g.id
                WHERE j.batch_id = b.id AND g.state = 'succeeded' AND r.job_id IS NULL)
            THEN 'not_downloaded'
        WHEN EXISTS (SELECT FROM credit_entry e WHERE e.batch_id = b.id
                AND (e.id <= (SELECT last_entry_id FROM closed)) IS NOT TRUE) OR EXISTS (
                SELECT FROM job j JOIN generation g ON g.job_id = j.id
                LEFT JOIN call c ON c.generation_id = g.id LEFT JOIN result r ON r.generation_id = g.id
                LEFT JOIN generation_reading n ON n.generation_id = g.id
                WHERE j.batch_id = b.id AND (greatest(c.recorded_at, r.recorded_at, n.read_at)
                    > coalesce((SELECT sealed_at FROM closed), '-infinity')))
            THEN 'unsealed'
        WHEN EXISTS (SELECT FROM catalog_plan p WHERE p.batch_id = b.id OR p.sample_batch_id = b.id) OR EXISTS (
                SELECT FROM job j JOIN catalog_render r ON r.job_id = j.id WHERE j.batch_id = b.id)
            THEN 'in_catalog'
        WHEN EXISTS (SELECT FROM bulk_operation_item i JOIN bulk_operation o ON o.id = i.operation_id
                WHERE i.batch_id = b.id AND o.state = 'running')
            THEN 'in_operation'
        WHEN EXISTS (SELECT FROM approval a WHERE a.approved_at IS NULL AND (a.subject = 'batch:' || b.id OR EXISTS (
                SELECT FROM generation g JOIN job j ON j.id = g.job_id
                WHERE j.batch_id = b.id AND a.subject = 'generation:' || g.id)))
            THEN 'approval'
        WHEN EXISTS (SELECT FROM event v LEFT JOIN hook_delivery d ON d.event_id = v.id
                WHERE v.subject = 'batch:' || b.id AND (v.relayed_at IS NULL
                    OR (d.event_id IS NOT NULL AND d.delivered_at IS NULL AND d.given_up_at IS NULL)))
            THEN 'events'
    END"""
_CANDIDATES = text(f"""
    WITH closed AS ({CLOSED})
    SELECT b.id AS batch_id, b.name, b.owner, b.size AS jobs, {_OBSTACLE} AS obstacle
    FROM batch b WHERE b.id > :after AND b.created_at < :before AND b.state <> 'refused'
        AND EXISTS (SELECT FROM job j WHERE j.batch_id = b.id)
        AND NOT EXISTS (SELECT FROM archived_batch a WHERE a.batch_id = b.id)
        AND NOT EXISTS (SELECT FROM job j WHERE j.batch_id = b.id AND j.ended_at >= :before)
    ORDER BY b.id LIMIT :limit""")


def page(tx: Connection, *, before: datetime, after: UUID, limit: int) -> list[Candidate]:
    """Return the next batches, in the order of their ids, that were submitted and have not gone on since ``before``."""
    rows = tx.execute(_CANDIDATES, {"before": before, "after": after, "limit": limit})
    return [
        Candidate(
            batch_id=row.batch_id,
            name=row.name,
            owner=row.owner,
            jobs=row.jobs,
            obstacle=None if row.obstacle is None else Obstacle(row.obstacle),
        )
        for row in rows
    ]


_LOCK = text("SELECT id FROM batch WHERE id = :batch_id FOR UPDATE")
_AGAIN = text(f"""
    WITH closed AS ({CLOSED})
    SELECT {_OBSTACLE} AS obstacle FROM batch b WHERE b.id = :batch_id""")


def lock(tx: Connection, batch_id: UUID) -> Obstacle | None:
    """Lock the batch against retries and corrections, and return what keeps it from being archived by now."""
    tx.execute(_LOCK, {"batch_id": batch_id})
    found = tx.execute(_AGAIN, {"batch_id": batch_id}).scalar_one()
    return None if found is None else Obstacle(found)
