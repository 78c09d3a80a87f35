"""Remember what the provider reserved for a model, so that the next hold is not below it."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0022"
down_revision: str | None = "0021"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "model_price",
        sa.Column("account_id", sa.Uuid(), nullable=False, comment="At whose account"),
        sa.Column("model", sa.Text(), nullable=False, comment="The provider's model id"),
        sa.Column(
            "reserved",
            sa.BigInteger(),
            nullable=False,
            comment="Credits that it reserved when they last differed from the hold",
        ),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False, comment="When that was"),
        sa.CheckConstraint("reserved >= 0", name=op.f("ck_model_price_reserved_not_negative")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_model_price_account_id")),
        sa.PrimaryKeyConstraint("account_id", "model", name=op.f("pk_model_price")),
    )
    op.execute("SELECT grant_application_rights()")


def downgrade() -> None:
    op.drop_table("model_price")
