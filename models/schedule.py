"""A schedule: when a catalog is refreshed by itself, and what came of each time."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from models.checks import one_of
from models.metadata import Table
from worker.catalog.rules.schedule import MissedPolicy, OverlapPolicy, RunState


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
        comment="Fire times after this count: its making, or the end of its last pause"
    )
    paused_at: Mapped[datetime | None] = mapped_column(comment="Since when it rests")
    created_at: Mapped[datetime] = mapped_column(comment="When it was made")
    created_by: Mapped[str] = mapped_column(comment="Who made it; the planner of its plans")
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
    due_at: Mapped[datetime] = mapped_column(comment="The fire time, or when somebody asked for a run now")
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
