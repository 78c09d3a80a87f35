"""A batch: jobs that were submitted together, and the lines of it that were refused."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.checks import one_of
from models.metadata import Table
from worker.core.rules.as_ordered import SizePolicy
from worker.core.rules.batch_request import Priority, Purpose
from worker.core.rules.batch_state import BatchState


class Batch(Table):
    """An owner, a purpose, a share, a cap, and a token that makes submitting it twice harmless."""

    __tablename__ = "batch"
    __table_args__ = (
        one_of("purpose", Purpose),
        one_of("priority", Priority),
        one_of("state", BatchState),
        one_of("size_policy", SizePolicy),
        CheckConstraint("committed >= 0", name="committed_not_negative"),
        CheckConstraint("weight >= 1", name="weight_positive"),
        Index("ix_batch_waiting", "account_id", postgresql_where=text("has_pending AND state = 'open'")),
        Index("ix_batch_created_at", "created_at"),
        Index("ix_batch_deadline", "account_id", "deadline_at", postgresql_where=text("has_pending")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7")
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), comment="Who pays for it")
    token: Mapped[str] = mapped_column(unique=True, comment="The producer's own; the same token is the same batch")
    content_hash: Mapped[str] = mapped_column(comment="SHA-256 over the requests, to tell a reused token")
    name: Mapped[str] = mapped_column(comment="What people call it")
    owner: Mapped[str] = mapped_column(comment="Who answers for its credits")
    purpose: Mapped[str] = mapped_column(comment="bulk, refresh or single")
    priority: Mapped[str] = mapped_column(comment="Its class when work is shared out")
    weight: Mapped[int] = mapped_column(server_default="1", comment="Its share inside the class")
    virtual_time: Mapped[float] = mapped_column(server_default="0", comment="Admissions divided by weight")
    credit_cap: Mapped[int | None] = mapped_column(comment="Credits that it may commit; NULL: no cap")
    committed: Mapped[int] = mapped_column(server_default="0", comment="Credits held, reserved or spent")
    size: Mapped[int] = mapped_column(comment="Jobs in it")
    size_policy: Mapped[str] = mapped_column(
        server_default="flag", comment="Images of another size: accept, flag or refuse-to-publish"
    )
    models: Mapped[list[str]] = mapped_column(
        server_default="{qwen-image}", comment="The models that its jobs name, each once"
    )
    has_pending: Mapped[bool] = mapped_column(comment="False once a look for pending jobs found none")
    state: Mapped[str] = mapped_column(comment="open, paused, cancelled or refused")
    deadline_at: Mapped[datetime | None] = mapped_column(comment="When what has not ended is ended; NULL: never")
    created_at: Mapped[datetime] = mapped_column(comment="When it was submitted")


class RefusedLine(Table):
    """One fault of one line that was not taken; line 0 is the batch itself."""

    __tablename__ = "refused_line"
    __table_args__ = (Index("ix_refused_line_batch", "batch_id", "line"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7")
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batch.id"), comment="The batch that it came with")
    line: Mapped[int] = mapped_column(comment="Line of the manifest, from 1; 0: the batch itself")
    key: Mapped[str | None] = mapped_column(comment="The caller's key, when it had a readable one")
    field: Mapped[str] = mapped_column(comment="Which column is at fault")
    reason: Mapped[str] = mapped_column(comment="What is wrong with it")
    permitted: Mapped[list[Any]] = mapped_column(JSONB, comment="What would be taken instead")
