"""Results in the database."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from worker.core.db.statements import Part, Row


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An image that lies in the store and passed its checks."""

    path: str
    sha256: str
    size_bytes: int
    mime_type: str
    width: int
    height: int
    frames: int = 1
    not_as_ordered: tuple[str, ...] = ()
    """In what it differs from what was ordered."""
    store_id: UUID | None = None
    """Identity of the store that it was put into; None: unknown."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """The image of a job, and where it came from."""

    job_id: UUID
    generation_id: UUID
    source_url: str
    stored: Stored


ADD = Part(
    name="added",
    columns="""job_id uuid, generation_id uuid, source_url text, path text, sha256 text, size_bytes bigint,
        mime_type text, width int, height int, frames int, not_as_ordered text[], store_id uuid,
        stored_at timestamptz""",
    sql="""
        INSERT INTO result (job_id, generation_id, source_url, path, sha256, size_bytes, mime_type, width, height,
                            frames, not_as_ordered, store_id, stored_at)
        SELECT * FROM {rows}""",
)


def adding(found: Result, *, now: datetime) -> Row:
    """Return the row for ``ADD``."""
    return {
        "job_id": found.job_id,
        "generation_id": found.generation_id,
        "source_url": found.source_url,
        **vars(found.stored),
        "stored_at": now,
    }
