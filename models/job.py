"""A job: one image that somebody asked for."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.checks import one_of
from models.metadata import Table
from worker.core.rules.job import JobState


class Job(Table):
    """Durable facts only: nothing here is written by a poll."""

    __tablename__ = "job"
    __table_args__ = (
        one_of("state", JobState),
        CheckConstraint("price > 0", name="price_positive"),
        Index("uq_job_batch_key", "batch_id", "key", unique=True),
        Index("ix_job_pending", "batch_id", "model", "line", postgresql_where=text("state = 'pending'")),
        Index("ix_job_batch_line", "batch_id", "line", "state"),
        Index("ix_job_crashed", "ended_at", postgresql_where=text("failure_code = 'internal_error'")),
        Index("ix_job_ended", "batch_id", "ended_at", "id", postgresql_where=text("ended_at IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7")
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batch.id"), comment="What it was submitted with")
    line: Mapped[int] = mapped_column(comment="Line of the manifest, from 1")
    key: Mapped[str] = mapped_column(comment="The caller's own name for it, unique in the batch")
    model: Mapped[str] = mapped_column(comment="The provider's model id")
    prompt: Mapped[str] = mapped_column(comment="Sent as it is")
    params: Mapped[dict[str, Any]] = mapped_column(comment="As the model names them, defaults filled in")
    reference_hash: Mapped[str | None] = mapped_column(
        ForeignKey("reference.sha256"), comment="SHA-256 of the reference image, if any"
    )
    further_references: Mapped[list[str] | None] = mapped_column(
        comment="SHA-256 of those after the first, in their order; NULL: there are none"
    )
    extra: Mapped[dict[str, Any]] = mapped_column(comment="The manifest's other columns, handed back in results")
    fingerprint: Mapped[str] = mapped_column(comment="SHA-256 over all that decides the image")
    price: Mapped[int] = mapped_column(comment="Credits that one generation of it holds")
    state: Mapped[str] = mapped_column(comment="pending, active, succeeded, failed, cancelled or in_doubt")
    generations: Mapped[int] = mapped_column(server_default="0", comment="Paid attempts begun")
    failures: Mapped[int] = mapped_column(server_default="0", comment="Paid attempts that the provider ended as failed")
    failure_code: Mapped[str | None] = mapped_column(
        comment="Why it failed, or failed last: the provider's code or ours"
    )
    failure_message: Mapped[str | None] = mapped_column(comment="The same in words")
    request_id: Mapped[str | None] = mapped_column(comment="The provider's request id of the failure")
    created_at: Mapped[datetime] = mapped_column(comment="When it was submitted")
    ended_at: Mapped[datetime | None] = mapped_column(comment="When it reached an end state")
