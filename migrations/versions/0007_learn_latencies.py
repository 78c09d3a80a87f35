"""Keep how long generations take, as histograms."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "latency",
        sa.Column("account_id", sa.Uuid(), nullable=False, comment="At whose account"),
        sa.Column("model", sa.Text(), nullable=False, comment="The provider's model id"),
        sa.Column("has_reference", sa.Boolean(), nullable=False, comment="Whether a reference image was given"),
        sa.Column(
            "counts",
            postgresql.ARRAY(sa.Double()),
            nullable=False,
            comment="Generations per bucket, the older the less",
        ),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, comment="When it last learned"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_latency_account_id")),
        sa.PrimaryKeyConstraint("account_id", "model", "has_reference", name=op.f("pk_latency")),
    )


def downgrade() -> None:
    op.drop_table("latency")
