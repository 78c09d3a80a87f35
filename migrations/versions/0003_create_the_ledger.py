"""Create the ledger, and keep it append-only."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_REFUSE_CHANGE = """
    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% on % is refused: the ledger is append-only, post a correction', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END $$"""

_APPEND_ONLY = """
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON credit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"""


def upgrade() -> None:
    op.create_table(
        "credit_entry",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="In the order of writing"),
        sa.Column("batch_id", sa.Uuid(), nullable=False, comment="Whose four accounts it moves between"),
        sa.Column("generation_id", sa.Uuid(), nullable=False, comment="The paid attempt behind it"),
        sa.Column("kind", sa.Text(), nullable=False, comment="Why it moved"),
        sa.Column("source", sa.Text(), nullable=False, comment="The account that has less afterwards"),
        sa.Column("target", sa.Text(), nullable=False, comment="The account that has more afterwards"),
        sa.Column("credits", sa.BigInteger(), nullable=False, comment="How many, 1 or more"),
        sa.Column("actor", sa.Text(), nullable=True, comment="The person behind a correction"),
        sa.Column("reason", sa.Text(), nullable=True, comment="The person's reason"),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=False, comment="When it was written"),
        sa.CheckConstraint(
            "kind <> 'correct' OR (reason IS NOT NULL AND actor IS NOT NULL)",
            name=op.f("ck_credit_entry_correction_signed"),
        ),
        sa.CheckConstraint(
            "kind IN ('hold', 'reserve', 'top_up', 'trim', 'settle', 'overrun', 'release', 'void', 'correct')",
            name=op.f("ck_credit_entry_kind_known"),
        ),
        sa.CheckConstraint("source IN ('cap', 'held', 'reserved', 'spent')", name=op.f("ck_credit_entry_source_known")),
        sa.CheckConstraint("target IN ('cap', 'held', 'reserved', 'spent')", name=op.f("ck_credit_entry_target_known")),
        sa.CheckConstraint("credits > 0", name=op.f("ck_credit_entry_credits_positive")),
        sa.CheckConstraint("source <> target", name=op.f("ck_credit_entry_moves")),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_credit_entry_batch_id")),
        sa.ForeignKeyConstraint(["generation_id"], ["generation.id"], name=op.f("fk_credit_entry_generation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_entry")),
    )
    op.create_index(
        "ix_credit_entry_batch",
        "credit_entry",
        ["batch_id", "source", "target"],
        unique=False,
        postgresql_include=["credits"],
    )
    op.create_index(
        "uq_credit_entry_generation_kind",
        "credit_entry",
        ["generation_id", "kind"],
        unique=True,
        postgresql_where=sa.text("kind <> 'correct'"),
    )
    op.execute(_REFUSE_CHANGE)
    op.execute(_APPEND_ONLY)


def downgrade() -> None:
    op.execute("DROP TRIGGER append_only ON credit_entry")
    op.execute("DROP FUNCTION refuse_change()")
    op.drop_index(
        "uq_credit_entry_generation_kind", table_name="credit_entry", postgresql_where=sa.text("kind <> 'correct'")
    )
    op.drop_index("ix_credit_entry_batch", table_name="credit_entry", postgresql_include=["credits"])
    op.drop_table("credit_entry")
