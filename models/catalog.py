"""Catalogs: items, plans, images, what is live, and schedules."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from models.checks import one_of
from models.metadata import Table
from worker.catalog.rules.catalog import RenderState, ReviewPolicy
from worker.catalog.rules.decisions import DecisionOutcome, Verdict
from worker.catalog.rules.schedule import MissedPolicy, OverlapPolicy, RunState


class Catalog(Table):
    """A recipe, and what it may cost before an approval is needed."""

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
    __table_args__ = (
        Index("uq_catalog_item_catalog_sku", "catalog_id", "sku", unique=True),
        Index("ix_catalog_item_place", "catalog_id", "position", "sku"),
    )

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
        Index("ix_catalog_plan_batch", "batch_id", postgresql_where=text("batch_id IS NOT NULL")),
        Index("ix_catalog_plan_catalog", "catalog_id", "made_at"),
        Index("ix_catalog_plan_sample", "sample_batch_id", postgresql_where=text("sample_batch_id IS NOT NULL")),
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


class CatalogDecision(Table):
    """What a reviewer decided about a new image, kept until it is applied or undone."""

    __tablename__ = "catalog_decision"
    __table_args__ = (
        one_of("verdict", Verdict),
        one_of("outcome", DecisionOutcome),
        CheckConstraint("num_nulls(outcome, ended_at, ended_by) IN (0, 3)", name="ended_whole"),
        CheckConstraint("char_length(reason) BETWEEN 1 AND 1000", name="reason_bounded"),
        Index("ix_catalog_decision_open", "render_id", postgresql_where=text("outcome IS NULL")),
    )

    render_id: Mapped[UUID] = mapped_column(ForeignKey("catalog_render.id"), primary_key=True, comment="Which image")
    number: Mapped[int] = mapped_column(
        primary_key=True, comment="Its place among the decisions on its image, from 1; the last open one counts"
    )
    verdict: Mapped[str] = mapped_column(comment="accept or reject")
    reason: Mapped[str | None] = mapped_column(comment="Why it is rejected; NULL: no reason was given")
    prompt: Mapped[str | None] = mapped_column(comment="The reviewer's own prompt for the next try, if any")
    actor: Mapped[str] = mapped_column(comment="Who decided")
    decided_at: Mapped[datetime] = mapped_column(comment="When")
    outcome: Mapped[str | None] = mapped_column(
        comment="applied, refused, replaced or undone; NULL: it waits to be applied"
    )
    ended_at: Mapped[datetime | None] = mapped_column(comment="When that came of it")
    ended_by: Mapped[str | None] = mapped_column(comment="Who applied or undid it")


class CatalogClaim(Table):
    """Which reviewer looks at an image: no other is given it while the lease lasts."""

    __tablename__ = "catalog_claim"

    render_id: Mapped[UUID] = mapped_column(ForeignKey("catalog_render.id"), primary_key=True, comment="Which image")
    actor: Mapped[str] = mapped_column(comment="Who looks at it")
    lease_until: Mapped[datetime] = mapped_column(comment="Until when no other reviewer is given it")


class Schedule(Table):
    """A cron line in a time zone, a cap for each run, and what happens when runs overlap or were missed."""

    __tablename__ = "schedule"
    __table_args__ = (
        one_of("overlap", OverlapPolicy),
        one_of("missed", MissedPolicy),
        CheckConstraint("credit_cap >= 0", name="cap_not_negative"),
        Index("uq_schedule_name", "name", unique=True, postgresql_where=text("removed_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7")
    name: Mapped[str] = mapped_column(comment="What people call it, unique among those that are not removed")
    catalog_id: Mapped[UUID] = mapped_column(ForeignKey("catalog.id"), comment="What it refreshes")
    cron: Mapped[str] = mapped_column(comment="Minute, hour, day of month, month, day of week")
    tz: Mapped[str] = mapped_column(comment="Time zone of the cron line, such as Europe/Paris")
    credit_cap: Mapped[int | None] = mapped_column(comment="Credits that one run may commit; NULL: the catalog's cap")
    overlap: Mapped[str] = mapped_column(comment="skip or queue: what a run does while the one before it is not done")
    missed: Mapped[str] = mapped_column(comment="run_once or skip: what becomes of fire times with no node alive")
    counts_from: Mapped[datetime] = mapped_column(
        comment="Fire times after this count: its making, its last change, or the end of its last pause"
    )
    paused_at: Mapped[datetime | None] = mapped_column(comment="Since when it rests")
    created_at: Mapped[datetime] = mapped_column(comment="When it was made")
    created_by: Mapped[str] = mapped_column(comment="Who made it or changed it last; the planner of its plans")
    removed_at: Mapped[datetime | None] = mapped_column(comment="When it was removed; its runs stay")
    account_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("account.id"), comment="Whose nodes keep it, and who pays; NULL: whichever node looks first"
    )


class ScheduleRun(Table):
    """One fire time, claimed once whatever the number of nodes."""

    __tablename__ = "schedule_run"
    __table_args__ = (
        one_of("state", RunState),
        Index("uq_schedule_run_due", "schedule_id", "due_at", unique=True),
        Index(
            "ix_schedule_run_open",
            "schedule_id",
            postgresql_where=text("state IN ('queued', 'planning', 'approval', 'rendering')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7")
    schedule_id: Mapped[UUID] = mapped_column(ForeignKey("schedule.id"), comment="Whose fire time")
    due_at: Mapped[datetime] = mapped_column(comment="The fire time, or when a person asked for the run")
    state: Mapped[str] = mapped_column(comment="queued, planning, approval, rendering, done, skipped or failed")
    requested_by: Mapped[str | None] = mapped_column(comment="Who asked for it; NULL: it was its time")
    plan_id: Mapped[UUID | None] = mapped_column(ForeignKey("catalog_plan.id"), comment="The plan that it made")
    batch_id: Mapped[UUID | None] = mapped_column(ForeignKey("batch.id"), comment="The batch that the plan became")
    spent: Mapped[int | None] = mapped_column(comment="Credits that its batch spent, once it is done")
    outcome: Mapped[str | None] = mapped_column(comment="What came of it, or why it was skipped, in words")
    lease_until: Mapped[datetime | None] = mapped_column(comment="Until when one node has it to itself")
    started_at: Mapped[datetime] = mapped_column(comment="When it was claimed")
    ended_at: Mapped[datetime | None] = mapped_column(comment="When it was over")
    stale_plans: Mapped[int] = mapped_column(
        Integer, server_default="0", comment="How many of its plans in a row the catalog has overtaken"
    )
    checked_at: Mapped[datetime | None] = mapped_column(comment="When its waiting plan was last found to be true still")
