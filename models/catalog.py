"""A catalog: items, the recipe that their images are made by, and every image that was made of each."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.checks import one_of
from models.metadata import Table
from worker.catalog.rules.catalog import RenderState, ReviewPolicy


class Catalog(Table):
    """A recipe, and what it may cost before somebody has to agree."""

    __tablename__ = "catalog"
    __table_args__ = (
        one_of("review", ReviewPolicy),
        CheckConstraint("credit_cap >= 0", name="cap_not_negative"),
        CheckConstraint("approve_above_credits >= 0", name="credits_not_negative"),
        CheckConstraint("approve_above_share BETWEEN 0 AND 1", name="share_is_one"),
        CheckConstraint("(removed_at IS NULL) = (removed_by IS NULL)", name="removal_whole"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7")
    name: Mapped[str] = mapped_column(unique=True, comment="What people call it")
    recipe: Mapped[dict[str, Any]] = mapped_column(comment="Template, model, params and the rest, as it was parsed")
    recipe_hash: Mapped[str] = mapped_column(comment="SHA-256 over the recipe")
    review: Mapped[str] = mapped_column(comment="none or required: whether new images wait for a person")
    credit_cap: Mapped[int | None] = mapped_column(comment="Credits that one plan may commit; NULL: no cap")
    approve_above_credits: Mapped[int | None] = mapped_column(
        comment="A plan of a higher price needs an approval; NULL: none does"
    )
    approve_above_share: Mapped[float | None] = mapped_column(
        comment="A plan that renders a larger share of the items needs an approval; NULL: none does"
    )
    created_at: Mapped[datetime] = mapped_column(comment="When it was first imported")
    updated_at: Mapped[datetime] = mapped_column(comment="When it was last imported")
    removed_at: Mapped[datetime | None] = mapped_column(comment="When it was removed; NULL again once imported")
    removed_by: Mapped[str | None] = mapped_column(comment="Who removed it")


class CatalogItem(Table):
    """One thing for sale: its fields, its reference image, and which of its images is live."""

    __tablename__ = "catalog_item"
    __table_args__ = (Index("uq_catalog_item_catalog_sku", "catalog_id", "sku", unique=True),)

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7")
    catalog_id: Mapped[UUID] = mapped_column(ForeignKey("catalog.id"), comment="Where it belongs")
    sku: Mapped[str] = mapped_column(comment="The caller's own name for it, unique in the catalog")
    fields: Mapped[dict[str, Any]] = mapped_column(comment="The columns that the template may name")
    reference_hash: Mapped[str | None] = mapped_column(
        ForeignKey("reference.sha256"), comment="SHA-256 of its reference image, if any"
    )
    further_references: Mapped[list[str] | None] = mapped_column(
        comment="SHA-256 of those after the first, in their order; NULL: there are none"
    )
    position: Mapped[int] = mapped_column(comment="Its place in the last import, from 1")
    edited_prompt: Mapped[str | None] = mapped_column(comment="A reviewer's own prompt instead of the recipe's")
    edited_from: Mapped[str | None] = mapped_column(
        comment="The recipe's prompt that it replaces, for as long as the recipe gives that one"
    )
    rejected_at: Mapped[datetime | None] = mapped_column(
        comment="When its last image was rejected; NULL again once a plan renders it"
    )
    kept_fingerprint: Mapped[str | None] = mapped_column(
        comment="Content for which a person brought an older image back: it is not rendered again for that"
    )
    live_render_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("catalog_render.id", use_alter=True), comment="The image that is live, if any"
    )
    added_at: Mapped[datetime] = mapped_column(comment="When it was first imported")
    changed_at: Mapped[datetime] = mapped_column(comment="When an import last changed it")
    removed_at: Mapped[datetime | None] = mapped_column(comment="When an import no longer had it")


class CatalogPlan(Table):
    """What would be rendered and why, at which price; bound by hash to the content that it was made from."""

    __tablename__ = "catalog_plan"
    __table_args__ = (
        Index("ix_catalog_plan_catalog", "catalog_id", "made_at"),
        CheckConstraint("price >= 0", name="price_not_negative"),
        CheckConstraint("sample > 0", name="sample_positive"),
        CheckConstraint("(approved_by IS NULL) = (approved_at IS NULL)", name="approval_whole"),
        CheckConstraint("num_nulls(refused_by, refused_at, refused_reason) IN (0, 3)", name="refusal_whole"),
        CheckConstraint("NOT needs_approval OR approved_by <> made_by", name="approved_by_another"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7; the token of its batch")
    catalog_id: Mapped[UUID] = mapped_column(ForeignKey("catalog.id"), comment="Whose items")
    content_hash: Mapped[str] = mapped_column(comment="SHA-256 over every item's content and what is to happen to it")
    document: Mapped[dict[str, Any]] = mapped_column(comment="Its options, and each item to render with the reasons")
    price: Mapped[int] = mapped_column(comment="Credits for one generation of each item to render")
    counts: Mapped[dict[str, Any]] = mapped_column(comment="How many items for each reason")
    needs_approval: Mapped[bool] = mapped_column(comment="Whether it was above a threshold of its catalog")
    sample: Mapped[int | None] = mapped_column(comment="So many items are rendered first; NULL: all at once")
    made_by: Mapped[str] = mapped_column(comment="Who made it")
    made_at: Mapped[datetime] = mapped_column(comment="When; ages are counted up to here")
    approved_by: Mapped[str | None] = mapped_column(comment="Who agreed")
    approved_at: Mapped[datetime | None] = mapped_column(comment="When")
    sampled_at: Mapped[datetime | None] = mapped_column(comment="When its sample became a batch")
    sample_batch_id: Mapped[UUID | None] = mapped_column(ForeignKey("batch.id"), comment="The batch of its sample")
    applied_at: Mapped[datetime | None] = mapped_column(comment="When it became a batch, or had nothing to render")
    batch_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("batch.id"), comment="The batch that it became; NULL also when there was nothing to render"
    )
    refused_by: Mapped[str | None] = mapped_column(comment="Who said no")
    refused_at: Mapped[datetime | None] = mapped_column(comment="When")
    refused_reason: Mapped[str | None] = mapped_column(comment="Why")


class CatalogRender(Table):
    """One image of an item, from the plan that asked for it to the day when another one takes its place."""

    __tablename__ = "catalog_render"
    __table_args__ = (
        one_of("state", RenderState),
        Index("ix_catalog_render_item", "item_id", "created_at"),
        Index("ix_catalog_render_plan", "plan_id"),
        Index("ix_catalog_render_unsettled", "job_id", postgresql_where=text("state IN ('planned', 'failed')")),
        Index(
            "uq_catalog_render_open",
            "item_id",
            unique=True,
            postgresql_where=text("state IN ('planned', 'candidate', 'failed')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7")
    item_id: Mapped[UUID] = mapped_column(ForeignKey("catalog_item.id"), comment="What it shows")
    plan_id: Mapped[UUID] = mapped_column(ForeignKey("catalog_plan.id"), comment="Which plan asked for it")
    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id"), unique=True, comment="The job that makes it")
    fingerprint: Mapped[str] = mapped_column(comment="SHA-256 over all that decides the image, as the job has it")
    parts: Mapped[dict[str, Any]] = mapped_column(comment="What was hashed: prompt, params, model, reference")
    needs_review: Mapped[bool] = mapped_column(comment="Whether it waits for a person before it goes live")
    state: Mapped[str] = mapped_column(comment="planned, candidate, live, rejected, superseded or failed")
    created_at: Mapped[datetime] = mapped_column(comment="When its plan was applied")
    rendered_at: Mapped[datetime | None] = mapped_column(comment="When its job ended")
    decided_at: Mapped[datetime | None] = mapped_column(comment="When it went live or was rejected")
    decided_by: Mapped[str | None] = mapped_column(comment="Who decided that")


class CatalogLive(Table):
    """Which image of an item went live when; written once, a trigger refuses UPDATE and DELETE."""

    __tablename__ = "catalog_live"
    __table_args__ = (Index("ix_catalog_live_item", "item_id", "from_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7")
    item_id: Mapped[UUID] = mapped_column(ForeignKey("catalog_item.id"), comment="Of which item")
    render_id: Mapped[UUID] = mapped_column(ForeignKey("catalog_render.id"), comment="Which image")
    from_at: Mapped[datetime] = mapped_column(comment="Since when; until the next row of the item")
    actor: Mapped[str] = mapped_column(comment="Who decided it")
    reason: Mapped[str] = mapped_column(comment="accepted, no review, or why an older one was brought back")


class CatalogRejection(Table):
    """Which image of an item was rejected when and why; written once, a trigger refuses UPDATE and DELETE."""

    __tablename__ = "catalog_rejection"
    __table_args__ = (
        Index("ix_catalog_rejection_item", "item_id", "at"),
        Index("ix_catalog_rejection_render", "render_id"),
        CheckConstraint("char_length(reason) BETWEEN 1 AND 1000", name="reason_bounded"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7")
    item_id: Mapped[UUID] = mapped_column(ForeignKey("catalog_item.id"), comment="Of which item")
    render_id: Mapped[UUID] = mapped_column(ForeignKey("catalog_render.id"), comment="Which image")
    at: Mapped[datetime] = mapped_column(comment="When it took effect")
    said_at: Mapped[datetime] = mapped_column(
        comment="When its file of decisions was saved; only what was said later takes it back"
    )
    actor: Mapped[str] = mapped_column(comment="Who rejected it")
    reason: Mapped[str | None] = mapped_column(comment="Why; NULL: no reason was given")
    prompt: Mapped[str | None] = mapped_column(comment="The reviewer's own prompt for the next try, if any")
