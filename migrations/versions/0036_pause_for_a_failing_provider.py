"""Keep how the provider does for an account, and the failed attempts that may be its fault."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0036"
down_revision: str | None = "0035"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def _at(name: str, comment: str, *, nullable: bool = True) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, comment=comment)


def _count(name: str, comment: str) -> "sa.Column[object]":
    return sa.Column(name, sa.BigInteger(), server_default="0", nullable=False, comment=comment)


def upgrade() -> None:
    op.create_table(
        "provider_health",
        sa.Column("account_id", sa.Uuid(), nullable=False, comment="At whose account"),
        sa.Column("usual", sa.Float(), nullable=False, comment="Share of prompts that fail while the provider is well"),
        sa.Column(
            "score",
            sa.Float(),
            server_default="0",
            nullable=False,
            comment="Of the CUSUM; 0: nothing against the provider",
        ),
        _at("began_at", "When the first failed generation was created; NULL: the score is zero"),
        _count("failed", "Different prompts that failed since then"),
        _count("succeeded", "Generations that succeeded since then"),
        _count("lost_creates", "Creates without a usable answer since the last that was accepted"),
        sa.Column("canary_job_id", sa.Uuid(), nullable=True, comment="The job that tries whether the provider works"),
        _at("canary_at", "When it was admitted"),
        _count("canaries_passed", "Canaries in a row that succeeded"),
        _count("given_back", "Attempts given back in this pause"),
        _at("proved_at", "When a generation last succeeded, to a minute; NULL: not since the last pause"),
        sa.CheckConstraint("usual BETWEEN 0 AND 1", name=op.f("ck_provider_health_usual_share")),
        sa.CheckConstraint(
            "score >= 0 AND failed >= 0 AND succeeded >= 0", name=op.f("ck_provider_health_evidence_counted")
        ),
        sa.CheckConstraint(
            "lost_creates >= 0 AND canaries_passed >= 0 AND given_back >= 0", name=op.f("ck_provider_health_counted")
        ),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_provider_health_account_id")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_provider_health")),
    )
    op.create_table(
        "failed_attempt",
        sa.Column("generation_id", sa.Uuid(), nullable=False, comment="What the provider said has failed"),
        sa.Column("account_id", sa.Uuid(), nullable=False, comment="At whose account"),
        sa.Column("job_id", sa.Uuid(), nullable=False, comment="Whose attempt it was"),
        sa.Column("prompt_hash", sa.LargeBinary(), nullable=False, comment="SHA-256 of the prompt in UTF-8"),
        _at("began_at", "began_at of the evidence that it belongs to", nullable=False),
        _at("failed_at", "When the provider first said so", nullable=False),
        sa.Column(
            "is_counted",
            sa.Boolean(),
            nullable=False,
            comment="Whether it counts as one of its job's failures for now",
        ),
        sa.Column(
            "is_excused",
            sa.Boolean(),
            nullable=False,
            comment="Whether it was the provider's failure, and not its job's",
        ),
        sa.CheckConstraint("octet_length(prompt_hash) = 32", name=op.f("ck_failed_attempt_hash_whole")),
        sa.ForeignKeyConstraint(["generation_id"], ["generation.id"], name=op.f("fk_failed_attempt_generation_id")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_failed_attempt_account_id")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_failed_attempt_job_id")),
        sa.PrimaryKeyConstraint("generation_id", name=op.f("pk_failed_attempt")),
    )
    op.create_index("ix_failed_attempt_account_id", "failed_attempt", ["account_id"])
    op.execute("SELECT grant_application_rights()")


def downgrade() -> None:
    op.drop_table("failed_attempt")
    op.drop_table("provider_health")
