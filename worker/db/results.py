"""Results in the database: what is in hand."""

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


_ADD = text("""
    INSERT INTO result (job_id, generation_id, source_url, path, sha256, size_bytes, mime_type, width, height,
                        stored_at)
    VALUES (:job_id, :generation_id, :source_url, :path, :sha256, :size_bytes, :mime_type, :width, :height, :now)""")


def add(tx: Connection, stored: Stored, *, job_id: UUID, generation_id: UUID, source_url: str, now: datetime) -> None:
    """Record the image of a job."""
    tx.execute(
        _ADD,
        {
            "job_id": job_id,
            "generation_id": generation_id,
            "source_url": source_url,
            "path": stored.path,
            "sha256": stored.sha256,
            "size_bytes": stored.size_bytes,
            "mime_type": stored.mime_type,
            "width": stored.width,
            "height": stored.height,
            "now": now,
        },
    )
