"""Where the time of a batch's newest images went: our queue, the provider, the detection of the end, the download."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

_NEWEST = 500
"""So many images are looked at, however large the batch is."""

# First attempts alone: the wait of a later one is no wait in our queue. A negative span is that of another clock.
_CLOCKS = text("""
    WITH newest AS (
        SELECT id, created_at, ended_at FROM job
        WHERE batch_id = :batch_id AND ended_at IS NOT NULL AND state = 'succeeded'
        ORDER BY ended_at DESC, id DESC LIMIT :most),
    image AS (
        SELECT g.took_ms IS NOT NULL AS is_dated,
            extract(epoch FROM g.first_sent_at - j.created_at)::float8 AS queue_s,
            extract(epoch FROM g.ended_at - g.accepted_at)::float8 AS seen_s,
            g.took_ms / 1000.0::float8 AS provider_s,
            extract(epoch FROM j.ended_at - g.ended_at)::float8 AS download_s
        FROM newest j JOIN generation g ON g.job_id = j.id AND g.number = 1
        WHERE g.state = 'succeeded' AND g.first_sent_at IS NOT NULL AND g.accepted_at IS NOT NULL),
    span AS (
        SELECT s.at, s.clock, s.seconds FROM image i CROSS JOIN LATERAL (VALUES
            (1, 'queue', i.queue_s),
            (2, 'provider', CASE WHEN i.is_dated THEN i.provider_s END),
            (3, 'detection', CASE WHEN i.is_dated THEN i.seen_s - i.provider_s END),
            (4, 'provider_and_detection', CASE WHEN NOT i.is_dated THEN i.seen_s END),
            (5, 'download', i.download_s)) s (at, clock, seconds)
        WHERE s.seconds IS NOT NULL)
    SELECT clock, count(*) AS images,
        greatest(percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds), 0)::float8 AS half_s,
        greatest(percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds), 0)::float8 AS most_s
    FROM span GROUP BY at, clock ORDER BY at""")


@dataclass(frozen=True, kw_only=True)
class Clock:
    """One part of the way of an image."""

    clock: str
    """queue, provider, detection, download; provider_and_detection where the provider does not date the end."""
    images: int
    half_s: float
    """Half of them took no longer."""
    most_s: float
    """95 in 100 took no longer."""


def newest(tx: Connection, batch_id: UUID) -> list[Clock]:
    """Return the parts in their order, over the newest images of a batch; empty when it has none."""
    return [Clock(**row._asdict()) for row in tx.execute(_CLOCKS, {"batch_id": batch_id, "most": _NEWEST})]
