"""A result: an output image, downloaded and checked."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from models.metadata import Table


class Result(Table):
    """Where an image came from, where it lies, and what it is."""

    __tablename__ = "result"
    __table_args__ = (Index("ix_result_odd", "job_id", postgresql_where=text("not_as_ordered <> '{}'::text[]")),)

    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id"), primary_key=True, comment="Whose image it is")
    generation_id: Mapped[UUID] = mapped_column(ForeignKey("generation.id"), unique=True, comment="Who made it")
    source_url: Mapped[str] = mapped_column(comment="Where the provider had put it")
    path: Mapped[str] = mapped_column(unique=True, comment="Where it lies in the store")
    store_id: Mapped[UUID | None] = mapped_column(
        comment="Identity of the store that it was put into; NULL: stored before this was recorded"
    )
    sha256: Mapped[str] = mapped_column(comment="Hex digest of the bytes")
    size_bytes: Mapped[int] = mapped_column(comment="How many bytes")
    mime_type: Mapped[str] = mapped_column(comment="By signature")
    width: Mapped[int] = mapped_column(comment="Pixels")
    height: Mapped[int] = mapped_column(comment="Pixels")
    frames: Mapped[int] = mapped_column(server_default="1", comment="More than one: it is animated")
    not_as_ordered: Mapped[list[str]] = mapped_column(
        ARRAY(Text), server_default=text("'{}'::text[]"), comment="Any of format, size and animated"
    )
    stored_at: Mapped[datetime] = mapped_column(comment="When it was in hand")
    recorded_at: Mapped[datetime] = mapped_column(comment="Its time, or right after the last seal if that is later")
