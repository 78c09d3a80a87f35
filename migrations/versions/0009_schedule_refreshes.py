"""Refresh catalogs on a schedule, and record what came of each time."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "schedule",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7"),
        sa.Column(
            "name", sa.Text(), nullable=False, comment="What people call it, unique among those that are not removed"
        ),
        sa.Column("catalog_id", sa.Uuid(), nullable=False, comment="What it refreshes"),
        sa.Column("cron", sa.Text(), nullable=False, comment="Minute, hour, day of month, month, day of week"),
        sa.Column("tz", sa.Text(), nullable=False, comment="Time zone of the cron line, such as Europe/Paris"),
        sa.Column(
            "credit_cap",
            sa.BigInteger(),
            nullable=True,
            comment="Credits that one run may commit; NULL: the catalog's cap",
        ),
        sa.Column(
            "overlap",
            sa.Text(),
            nullable=False,
            comment="skip or queue: what a run does while the one before it is not done",
        ),
        sa.Column(
            "missed",
            sa.Text(),
            nullable=False,
            comment="run_once or skip: what becomes of fire times with no node alive",
        ),
        sa.Column(
            "counts_from",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="Fire times after this count: its making, or the end of its last pause",
        ),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True, comment="Since when it rests"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="When it was made"),
        sa.Column("created_by", sa.Text(), nullable=False, comment="Who made it; the planner of its plans"),
        sa.Column(
            "removed_at", sa.DateTime(timezone=True), nullable=True, comment="When it was removed; its runs stay"
        ),
        sa.CheckConstraint("missed IN ('run_once', 'skip')", name=op.f("ck_schedule_missed_known")),
        sa.CheckConstraint("overlap IN ('skip', 'queue')", name=op.f("ck_schedule_overlap_known")),
        sa.CheckConstraint("credit_cap >= 0", name=op.f("ck_schedule_cap_not_negative")),
        sa.ForeignKeyConstraint(["catalog_id"], ["catalog.id"], name=op.f("fk_schedule_catalog_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule")),
    )
    op.create_index(
        "uq_schedule_name", "schedule", ["name"], unique=True, postgresql_where=sa.text("removed_at IS NULL")
    )
    op.create_table(
        "schedule_run",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7"),
        sa.Column("schedule_id", sa.Uuid(), nullable=False, comment="Whose fire time"),
        sa.Column(
            "due_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="The fire time, or when somebody asked for a run now",
        ),
        sa.Column(
            "state", sa.Text(), nullable=False, comment="queued, planning, approval, rendering, done, skipped or failed"
        ),
        sa.Column("requested_by", sa.Text(), nullable=True, comment="Who asked for it; NULL: it was its time"),
        sa.Column("plan_id", sa.Uuid(), nullable=True, comment="The plan that it made"),
        sa.Column("batch_id", sa.Uuid(), nullable=True, comment="The batch that the plan became"),
        sa.Column("spent", sa.BigInteger(), nullable=True, comment="Credits that its batch spent, once it is done"),
        sa.Column("outcome", sa.Text(), nullable=True, comment="What came of it, or why it was skipped, in words"),
        sa.Column(
            "lease_until", sa.DateTime(timezone=True), nullable=True, comment="Until when one node has it to itself"
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False, comment="When it was claimed"),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True, comment="When it was over"),
        sa.CheckConstraint(
            "state IN ('queued', 'planning', 'approval', 'rendering', 'done', 'skipped', 'failed')",
            name=op.f("ck_schedule_run_state_known"),
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_schedule_run_batch_id")),
        sa.ForeignKeyConstraint(["plan_id"], ["catalog_plan.id"], name=op.f("fk_schedule_run_plan_id")),
        sa.ForeignKeyConstraint(["schedule_id"], ["schedule.id"], name=op.f("fk_schedule_run_schedule_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule_run")),
    )
    op.create_index(
        "ix_schedule_run_open",
        "schedule_run",
        ["schedule_id"],
        unique=False,
        postgresql_where=sa.text("state IN ('queued', 'planning', 'approval', 'rendering')"),
    )
    op.create_index("uq_schedule_run_due", "schedule_run", ["schedule_id", "due_at"], unique=True)


def downgrade() -> None:
    op.drop_index("uq_schedule_run_due", table_name="schedule_run")
    op.drop_index("ix_schedule_run_open", table_name="schedule_run")
    op.drop_table("schedule_run")
    op.drop_index("uq_schedule_name", table_name="schedule")
    op.drop_table("schedule")
