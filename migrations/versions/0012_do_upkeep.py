"""Let work come due every so often, and keep what it finds out about generations whose end is not known."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "upkeep",
        sa.Column("account_id", sa.Uuid(), nullable=False, comment="For whose key"),
        sa.Column("kind", sa.Text(), nullable=False, comment="wallet, seal or reread"),
        sa.Column("every_s", sa.Float(), nullable=False, comment="Seconds from one time to the next"),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False, comment="When the next time is"),
        sa.Column(
            "last_run_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it was last handed out; NULL: never",
        ),
        sa.CheckConstraint("every_s >= 1", name=op.f("ck_upkeep_every_positive")),
        sa.CheckConstraint("kind IN ('wallet', 'seal', 'reread')", name=op.f("ck_upkeep_kind_known")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_upkeep_account_id")),
        sa.PrimaryKeyConstraint("account_id", "kind", name=op.f("pk_upkeep")),
    )
    op.create_table(
        "generation_reading",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7"),
        sa.Column("generation_id", sa.Uuid(), nullable=False, comment="Which was asked about"),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False, comment="When"),
        sa.Column("status", sa.Text(), nullable=True, comment="The provider's word; NULL: no answer about it"),
        sa.Column("reserved", sa.BigInteger(), nullable=True, comment="Credits reserved, as answered"),
        sa.Column("final", sa.BigInteger(), nullable=True, comment="Credits charged, as answered"),
        sa.Column(
            "code",
            sa.Text(),
            nullable=True,
            comment="The code of its failure, or of the error in place of an answer",
        ),
        sa.Column("message", sa.Text(), nullable=True, comment="The provider's words beside the code"),
        sa.ForeignKeyConstraint(["generation_id"], ["generation.id"], name=op.f("fk_generation_reading_generation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_generation_reading")),
    )
    op.create_index(
        "ix_generation_reading_generation", "generation_reading", ["generation_id", "read_at"], unique=False
    )
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON generation_reading"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute("SELECT grant_application_rights()")


def downgrade() -> None:
    op.drop_index("ix_generation_reading_generation", table_name="generation_reading")
    op.drop_table("generation_reading")
    op.drop_table("upkeep")
