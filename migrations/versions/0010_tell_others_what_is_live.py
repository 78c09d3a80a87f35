"""Tell other systems what went live, from an outbox."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "hook",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7"),
        sa.Column("catalog_id", sa.Uuid(), nullable=False, comment="Whose items it hears of"),
        sa.Column("kind", sa.Text(), nullable=False, comment="command or post"),
        sa.Column("target", sa.Text(), nullable=False, comment="The command line, or the address"),
        sa.Column("secret", sa.Text(), nullable=True, comment="What a POST is signed with; never shown"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="When it was added"),
        sa.Column(
            "removed_at", sa.DateTime(timezone=True), nullable=True, comment="When it was removed; its deliveries stay"
        ),
        sa.CheckConstraint("(kind = 'post') = (secret IS NOT NULL)", name=op.f("ck_hook_post_is_signed")),
        sa.CheckConstraint("kind IN ('command', 'post')", name=op.f("ck_hook_kind_known")),
        sa.ForeignKeyConstraint(["catalog_id"], ["catalog.id"], name=op.f("fk_hook_catalog_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hook")),
    )
    op.create_index(
        "ix_hook_catalog", "hook", ["catalog_id"], unique=False, postgresql_where=sa.text("removed_at IS NULL")
    )
    op.create_table(
        "hook_delivery",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7; the receiver may tell copies apart by it"),
        sa.Column("hook_id", sa.Uuid(), nullable=False, comment="To whom"),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="What is sent"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="When it happened"),
        sa.Column(
            "due_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When it is sent next; a sender moves it on before it sends",
        ),
        sa.Column(
            "attempts", sa.BigInteger(), server_default="0", nullable=False, comment="How often it was begun to be sent"
        ),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True, comment="When the receiver took it"),
        sa.Column("given_up_at", sa.DateTime(timezone=True), nullable=True, comment="When it was no longer tried"),
        sa.Column("last_error", sa.Text(), nullable=True, comment="What went wrong the last time"),
        sa.ForeignKeyConstraint(["hook_id"], ["hook.id"], name=op.f("fk_hook_delivery_hook_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hook_delivery")),
    )
    op.create_index(
        "ix_hook_delivery_due",
        "hook_delivery",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("delivered_at IS NULL AND given_up_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_hook_delivery_due", table_name="hook_delivery")
    op.drop_table("hook_delivery")
    op.drop_index("ix_hook_catalog", table_name="hook")
    op.drop_table("hook")
