"""Batches whose rows lie in the store, and the files that hold them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.metadata import Table


class ArchivedBatch(Table):
    """A batch whose jobs, with all that belongs to them, were moved into the store; written once but `removed_at`."""

    __tablename__ = "archived_batch"
    __table_args__ = (Index("ix_archived_batch_unremoved", "batch_id", postgresql_where=text("removed_at IS NULL")),)

    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batch.id"), primary_key=True, comment="Which")
    store_id: Mapped[UUID | None] = mapped_column(comment="Identity of the store that has its files")
    jobs: Mapped[dict[str, Any]] = mapped_column(JSONB, comment="How many jobs ended in each state")
    spent: Mapped[int] = mapped_column(comment="Credits that its entries say are spent; none are held or reserved")
    entries: Mapped[int] = mapped_column(comment="How many entries it has")
    last_entry_id: Mapped[int | None] = mapped_column(comment="The last of them; NULL: it has none")
    last_posted_at: Mapped[datetime | None] = mapped_column(comment="When the last of them was posted")
    sealed_until: Mapped[datetime | None] = mapped_column(
        comment="Up to when facts were bound by seals; calls of later are not in its files. NULL: nothing was sealed"
    )
    archived_at: Mapped[datetime] = mapped_column(
        server_default=text("clock_timestamp()"), comment="When its files were recorded"
    )
    login: Mapped[str] = mapped_column(
        server_default=text("SESSION_USER"), comment="Which user of the database recorded them"
    )
    removed_at: Mapped[datetime | None] = mapped_column(
        comment="When its last row was removed from the tables; NULL: some are still there"
    )


class ArchivedFile(Table):
    """One Parquet file: the rows of one table that belong to one part of a batch's jobs; written once."""

    __tablename__ = "archived_file"
    __table_args__ = (CheckConstraint("rows > 0 AND size_bytes > 0", name="not_empty"),)

    batch_id: Mapped[UUID] = mapped_column(
        ForeignKey("archived_batch.batch_id"), primary_key=True, comment="Whose rows it has"
    )
    part: Mapped[int] = mapped_column(SmallInteger, primary_key=True, comment="Which part of the batch's jobs, from 0")
    name: Mapped[str] = mapped_column(primary_key=True, comment="The table")
    path: Mapped[str] = mapped_column(comment="Where it lies in the store")
    sha256: Mapped[str] = mapped_column(comment="Hex digest of its bytes")
    size_bytes: Mapped[int] = mapped_column(comment="How many bytes")
    rows: Mapped[int] = mapped_column(comment="How many rows")
    rows_sha256: Mapped[str] = mapped_column(comment="Hex digest over its rows as the database writes them")
    first_job_id: Mapped[UUID] = mapped_column(comment="The first job of its part, by id")
    last_job_id: Mapped[UUID] = mapped_column(comment="The last job of its part")


class RewrittenFile(Table):
    """A file whose place another took when texts in it were erased; written once."""

    __tablename__ = "rewritten_file"

    erasure_id: Mapped[UUID] = mapped_column(
        ForeignKey("erasure.id"), primary_key=True, comment="What erased it: who, when and why"
    )
    batch_id: Mapped[UUID] = mapped_column(
        ForeignKey("archived_batch.batch_id"), primary_key=True, comment="Whose rows it had"
    )
    part: Mapped[int] = mapped_column(SmallInteger, primary_key=True, comment="Which part of the batch's jobs, from 0")
    name: Mapped[str] = mapped_column(primary_key=True, comment="The table")
    path: Mapped[str] = mapped_column(comment="Where it lay in the store")
    sha256: Mapped[str] = mapped_column(comment="Hex digest of its bytes")
    size_bytes: Mapped[int] = mapped_column(comment="How many bytes")
    rows_sha256: Mapped[str] = mapped_column(comment="Hex digest over its rows as the database writes them")
    new_sha256: Mapped[str] = mapped_column(comment="Hex digest of the bytes of the file that took its place")


class UnneededFile(Table):
    """A file of the archive that is not recorded yet, or no more; the next run or erasure removes what was left."""

    __tablename__ = "unneeded_file"

    path: Mapped[str] = mapped_column(
        primary_key=True, comment="A file of the store that is removed unless a batch is archived in it"
    )
    batch_id: Mapped[UUID] = mapped_column(index=True, comment="The batch in whose folder it lies")
    noted_at: Mapped[datetime] = mapped_column(
        server_default=func.now(),
        comment="When it was noted last: before it was written, or when another file took its place",
    )
