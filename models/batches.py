"""Batches, and the lines that were refused."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.checks import one_of, traceparent
from models.metadata import Table
from worker.batches.rules.bulk_operation import BulkAction, ItemState, OperationState
from worker.core.rules.batch_request import Priority, Purpose
from worker.core.rules.models_catalogue import SizePolicy
from worker.core.rules.states import BatchState


class Batch(Table):
    """An owner, a purpose, a share, a cap, and a token that makes submitting it twice harmless."""

    __tablename__ = "batch"
    __table_args__ = (
        one_of("purpose", Purpose),
        one_of("priority", Priority),
        one_of("state", BatchState),
        one_of("size_policy", SizePolicy),
        traceparent(),
        CheckConstraint("committed >= 0", name="committed_not_negative"),
        CheckConstraint("weight >= 1", name="weight_positive"),
        Index("ix_batch_waiting", "account_id", postgresql_where=text("has_pending AND state = 'open'")),
        Index("ix_batch_pooled", "id", postgresql_where=text("pool IS NOT NULL AND has_pending")),
        Index("ix_batch_created_at", "created_at"),
        Index("ix_batch_not_done", "id", postgresql_where=text("done_at IS NULL AND state <> 'refused'")),
        Index("ix_batch_deadline", "account_id", "deadline_at", postgresql_where=text("has_pending")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7")
    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("account.id"), comment="Who pays for it; of a pool the account that keeps its deadline"
    )
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
    fields_hash: Mapped[str | None] = mapped_column(
        comment="SHA-256 over the fields that the HTTP API was given; NULL: it came by another way"
    )
    traceparent: Mapped[str | None] = mapped_column(
        comment="The producer's span, as W3C Trace Context names it; NULL: it named none"
    )
    salt: Mapped[UUID | None] = mapped_column(
        server_default=func.gen_random_uuid(),
        comment="Random, a part of its sealed digests; NULL: erased, or older than this column",
    )
    deadline_at: Mapped[datetime | None] = mapped_column(comment="When what has not ended is ended; NULL: never")
    created_at: Mapped[datetime] = mapped_column(comment="When it was submitted")
    done_at: Mapped[datetime | None] = mapped_column(
        comment="When it was noticed that all its jobs had ended; NULL: not so now"
    )
    pool: Mapped[str | None] = mapped_column(
        comment="Over whose accounts its jobs are spread; NULL: one account pays for all"
    )


class BatchAccount(Table):
    """One account of a batch whose jobs are spread over a pool; written once, with the batch."""

    __tablename__ = "batch_account"

    batch_id: Mapped[UUID] = mapped_column(
        ForeignKey("batch.id"), primary_key=True, comment="A batch whose jobs are spread over a pool"
    )
    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("account.id"), primary_key=True, comment="One that was of its pool when it was submitted"
    )


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


class Approval(Table):
    """One order of one person that is done when a second person agrees."""

    __tablename__ = "approval"
    __table_args__ = (
        CheckConstraint("(approved_by IS NULL) = (approved_at IS NULL)", name="approved_by_whom"),
        Index("ix_approval_open", "subject", postgresql_where=text("approved_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(comment="What it is about, as the log of changes names it")
    request: Mapped[str] = mapped_column(comment="What is to be done, in words that the same order repeats")
    credits: Mapped[int | None] = mapped_column(comment="How many it is about; NULL: without a bound")
    requested_by: Mapped[str] = mapped_column()
    requested_at: Mapped[datetime] = mapped_column()
    approved_by: Mapped[str | None] = mapped_column(comment="The second person; NULL: it waits")
    approved_at: Mapped[datetime | None] = mapped_column()


class BulkOperation(Table):
    """One action on the batches that a filter matched at one instant."""

    __tablename__ = "bulk_operation"
    __table_args__ = (
        one_of("action", BulkAction),
        one_of("state", OperationState),
        CheckConstraint("(ended_at IS NOT NULL) = (state IN ('done', 'cancelled'))", name="ended_when"),
        Index("ix_bulk_operation_running", "created_at", postgresql_where=text("state = 'running'")),
        Index("ix_bulk_operation_created_at", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    action: Mapped[str] = mapped_column()
    selection: Mapped[dict[str, Any]] = mapped_column(
        JSONB, comment='The filter that was asked; "all" stands for no condition'
    )
    parameters: Mapped[dict[str, Any]] = mapped_column(
        JSONB,
        comment="What the action needs beside the batches: priority and weight; the code of failures;"
        " the verdict on images",
    )
    actor: Mapped[str] = mapped_column(comment="Who ordered it; the author of every change that it makes")
    reason: Mapped[str | None] = mapped_column(comment="Why; NULL: not said")
    state: Mapped[str] = mapped_column()
    created_at: Mapped[datetime] = mapped_column()
    started_at: Mapped[datetime | None] = mapped_column(comment="When it was confirmed; NULL: it is a preview")
    ended_at: Mapped[datetime | None] = mapped_column()


class BulkOperationItem(Table):
    """One batch of a bulk operation: as it was seen, and what came of it."""

    __tablename__ = "bulk_operation_item"
    __table_args__ = (
        one_of("state", ItemState),
        Index("ix_bulk_operation_item_waiting", "operation_id", "position", postgresql_where=text("state = 'waiting'")),
    )

    operation_id: Mapped[UUID] = mapped_column(ForeignKey("bulk_operation.id"), primary_key=True)
    position: Mapped[int] = mapped_column(
        primary_key=True,
        comment="Its place in the operation, from 1: the oldest batch, or the catalog's first image, first",
    )
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batch.id"))
    seen: Mapped[dict[str, Any]] = mapped_column(
        JSONB, comment="As the preview showed it: state, jobs and credits of the batch, or the image"
    )
    render_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("catalog_render.id"), comment="The image that is decided on; NULL: the item is the whole batch"
    )
    state: Mapped[str] = mapped_column()
    detail: Mapped[str | None] = mapped_column(comment="Why it was skipped or failed")
    effect: Mapped[dict[str, Any] | None] = mapped_column(JSONB, comment="What was done, in numbers; NULL: nothing")
    done_at: Mapped[datetime | None] = mapped_column()


class OwnerCap(Table):
    """The credits that an owner may commit in any one month; an owner without a row has no cap."""

    __tablename__ = "owner_cap"
    __table_args__ = (CheckConstraint("monthly_cap >= 0", name="cap_not_negative"),)

    owner: Mapped[str] = mapped_column(primary_key=True, comment="As batches name it")
    monthly_cap: Mapped[int] = mapped_column(comment="Credits per calendar month, UTC")


class OwnerAccount(Table):
    """The account or the pool of an owner's batches that name neither; without a row the submitting process says it."""

    __tablename__ = "owner_account"
    __table_args__ = (CheckConstraint("num_nonnulls(account_id, pool) = 1", name="one_of_both"),)

    owner: Mapped[str] = mapped_column(primary_key=True, comment="As batches name it")
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"), comment="That pays; NULL: one of a pool")
    pool: Mapped[str | None] = mapped_column(comment="Over whose accounts their jobs are spread")


class OwnerMonth(Table):
    """What an owner has committed in one month; a release goes back to the month of its hold."""

    __tablename__ = "owner_month"

    owner: Mapped[str] = mapped_column(primary_key=True, comment="As batches name it")
    month: Mapped[date] = mapped_column(Date, primary_key=True, comment="Its first day, UTC")
    committed: Mapped[int] = mapped_column(comment="Credits held, reserved or spent")
