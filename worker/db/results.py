"""Results in the database: what is in hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An image that lies in the store and passed its checks."""

    path: str
    sha256: str
    size_bytes: int
    mime_type: str
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Result:
    """The image of a job, and where it came from."""

    job_id: UUID
    generation_id: UUID
    source_url: str
    stored: Stored


_ADD = text("""
    INSERT INTO result (job_id, generation_id, source_url, path, sha256, size_bytes, mime_type, width, height,
                        stored_at)
    SELECT *, :now FROM unnest(
        CAST(:job_ids AS uuid[]), CAST(:generation_ids AS uuid[]), CAST(:urls AS text[]), CAST(:paths AS text[]),
        CAST(:hashes AS text[]), CAST(:sizes AS bigint[]), CAST(:types AS text[]), CAST(:widths AS integer[]),
        CAST(:heights AS integer[]))""")


def add(tx: Connection, found: Sequence[Result], *, now: datetime) -> None:
    """Record the images of jobs."""
    tx.execute(
        _ADD,
        {
            "job_ids": [one.job_id for one in found],
            "generation_ids": [one.generation_id for one in found],
            "urls": [one.source_url for one in found],
            "paths": [one.stored.path for one in found],
            "hashes": [one.stored.sha256 for one in found],
            "sizes": [one.stored.size_bytes for one in found],
            "types": [one.stored.mime_type for one in found],
            "widths": [one.stored.width for one in found],
            "heights": [one.stored.height for one in found],
            "now": now,
        },
    )
