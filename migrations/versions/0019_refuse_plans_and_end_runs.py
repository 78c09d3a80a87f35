"""Let plans be refused and waiting runs be looked at again, and bind a schedule to the account that it spends from."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0019"
down_revision: str | None = "0018"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("catalog_plan", sa.Column("refused_by", sa.Text(), nullable=True, comment="Who said no"))
    op.add_column("catalog_plan", sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True, comment="When"))
    op.add_column("catalog_plan", sa.Column("refused_reason", sa.Text(), nullable=True, comment="Why"))
    op.create_check_constraint(
        op.f("ck_catalog_plan_refusal_whole"),
        "catalog_plan",
        "num_nulls(refused_by, refused_at, refused_reason) IN (0, 3)",
    )
    op.add_column(
        "schedule",
        sa.Column(
            "account_id",
            sa.Uuid(),
            nullable=True,
            comment="Whose nodes keep it, and who pays; NULL: whichever node looks first",
        ),
    )
    op.create_foreign_key(op.f("fk_schedule_account_id"), "schedule", "account", ["account_id"], ["id"])
    # Where there are several, nobody has written down which one ran it until now: one alone keeps it from here on.
    op.execute("UPDATE schedule SET account_id = (SELECT id FROM account ORDER BY id LIMIT 1)")
    op.add_column(
        "schedule_run",
        sa.Column(
            "stale_plans",
            sa.Integer(),
            nullable=False,
            server_default="0",
            comment="How many of its plans in a row the catalog has overtaken",
        ),
    )
    op.add_column(
        "schedule_run",
        sa.Column(
            "checked_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When its waiting plan was last found to be true still",
        ),
    )


def downgrade() -> None:
    op.drop_column("schedule_run", "checked_at")
    op.drop_column("schedule_run", "stale_plans")
    op.drop_constraint(op.f("fk_schedule_account_id"), "schedule", type_="foreignkey")
    op.drop_column("schedule", "account_id")
    op.drop_constraint(op.f("ck_catalog_plan_refusal_whole"), "catalog_plan", type_="check")
    op.drop_column("catalog_plan", "refused_reason")
    op.drop_column("catalog_plan", "refused_at")
    op.drop_column("catalog_plan", "refused_by")
