"""Give owners a monthly budget, and record who changed what."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "change",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7"),
        sa.Column(
            "subject",
            sa.Text(),
            nullable=False,
            comment="What was changed: batch:<id>, owner:<name>, account:<name> ...",
        ),
        sa.Column("field", sa.Text(), nullable=False, comment="Which setting of it"),
        sa.Column("before", sa.Text(), nullable=True, comment="As text; NULL: it was not set"),
        sa.Column("after", sa.Text(), nullable=True, comment="As text; NULL: it is not set any more"),
        sa.Column("actor", sa.Text(), nullable=False, comment="Who changed it"),
        sa.Column("reason", sa.Text(), nullable=True, comment="Why, in the actor's words"),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False, comment="When"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change")),
    )
    op.create_index("ix_change_subject", "change", ["subject", "changed_at"], unique=False)
    op.create_table(
        "owner_cap",
        sa.Column("owner", sa.Text(), nullable=False, comment="As batches name it"),
        sa.Column("monthly_cap", sa.BigInteger(), nullable=False, comment="Credits per calendar month, UTC"),
        sa.CheckConstraint("monthly_cap >= 0", name=op.f("ck_owner_cap_cap_not_negative")),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_owner_cap")),
    )
    op.create_table(
        "owner_month",
        sa.Column("owner", sa.Text(), nullable=False, comment="As batches name it"),
        sa.Column("month", sa.Date(), nullable=False, comment="Its first day, UTC"),
        sa.Column("committed", sa.BigInteger(), nullable=False, comment="Credits held, reserved or spent"),
        sa.PrimaryKeyConstraint("owner", "month", name=op.f("pk_owner_month")),
    )
    op.add_column(
        "account",
        sa.Column(
            "wallet_left",
            sa.BigInteger(),
            nullable=True,
            comment="The last reading, less what was held since; NULL: unread",
        ),
    )
    op.add_column(
        "account",
        sa.Column("wallet_read_at", sa.DateTime(timezone=True), nullable=True, comment="When the wallet was last read"),
    )
    op.add_column(
        "account",
        sa.Column("resumed_at", sa.DateTime(timezone=True), nullable=True, comment="When the last pause ended"),
    )
    op.alter_column(
        "account",
        "probes",
        existing_type=sa.BIGINT(),
        comment="Looks since the pause began, or since the same one before it",
        existing_comment="Looks since the pause began",
        existing_nullable=False,
        existing_server_default=sa.text("'0'::bigint"),
    )


def downgrade() -> None:
    op.alter_column(
        "account",
        "probes",
        existing_type=sa.BIGINT(),
        comment="Looks since the pause began",
        existing_comment="Looks since the pause began, or since the same one before it",
        existing_nullable=False,
        existing_server_default=sa.text("'0'::bigint"),
    )
    op.drop_column("account", "resumed_at")
    op.drop_column("account", "wallet_read_at")
    op.drop_column("account", "wallet_left")
    op.drop_table("owner_month")
    op.drop_table("owner_cap")
    op.drop_index("ix_change_subject", table_name="change")
    op.drop_table("change")
