"""Remember how often in a row each prompt has failed at the provider, until it succeeds."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0018"
down_revision: str | None = "0017"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "prompt_failure",
        sa.Column("account_id", sa.Uuid(), nullable=False, comment="At whose account"),
        sa.Column("model", sa.Text(), nullable=False, comment="The provider's model id"),
        sa.Column("prompt_hash", sa.LargeBinary(), nullable=False, comment="SHA-256 of the prompt in UTF-8"),
        sa.Column("failures", sa.BigInteger(), nullable=False, comment="Generations that failed since one succeeded"),
        sa.Column(
            "first_failed_at", sa.DateTime(timezone=True), nullable=False, comment="When the first of them ended"
        ),
        sa.Column("last_failed_at", sa.DateTime(timezone=True), nullable=False, comment="When the last of them ended"),
        sa.Column("last_code", sa.Text(), nullable=False, comment="The provider's code of the last one"),
        sa.CheckConstraint("failures >= 1", name=op.f("ck_prompt_failure_failures_positive")),
        sa.CheckConstraint("octet_length(prompt_hash) = 32", name=op.f("ck_prompt_failure_hash_whole")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_prompt_failure_account_id")),
        sa.PrimaryKeyConstraint("account_id", "model", "prompt_hash", name=op.f("pk_prompt_failure")),
    )
    op.execute("SELECT grant_application_rights()")


def downgrade() -> None:
    op.drop_table("prompt_failure")
