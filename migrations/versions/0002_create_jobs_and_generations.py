"""Create jobs, their paid generations, their steps and their results."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# The step table is small and updated all the time: vacuum it by count, not by share.
_VACUUM_STEPS = """
    ALTER TABLE step SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000)"""


def upgrade() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7"),
        sa.Column("batch_id", sa.Uuid(), nullable=False, comment="What it was submitted with"),
        sa.Column("line", sa.BigInteger(), nullable=False, comment="Line of the manifest, from 1"),
        sa.Column("key", sa.Text(), nullable=False, comment="The caller's own name for it, unique in the batch"),
        sa.Column("model", sa.Text(), nullable=False, comment="The provider's model id"),
        sa.Column("prompt", sa.Text(), nullable=False, comment="Sent as it is"),
        sa.Column(
            "params",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="image_size and output_format, defaults filled in",
        ),
        sa.Column("reference_hash", sa.Text(), nullable=True, comment="SHA-256 of the reference image, if any"),
        sa.Column(
            "extra",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="The manifest's other columns, handed back in results",
        ),
        sa.Column("fingerprint", sa.Text(), nullable=False, comment="SHA-256 over all that decides the image"),
        sa.Column("price", sa.BigInteger(), nullable=False, comment="Credits that one generation of it holds"),
        sa.Column(
            "state", sa.Text(), nullable=False, comment="pending, active, succeeded, failed, cancelled or in_doubt"
        ),
        sa.Column("generations", sa.BigInteger(), server_default="0", nullable=False, comment="Paid attempts begun"),
        sa.Column(
            "failures",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="Paid attempts that the provider ended as failed",
        ),
        sa.Column(
            "failure_code",
            sa.Text(),
            nullable=True,
            comment="Why it failed, or failed last: the provider's code or ours",
        ),
        sa.Column("failure_message", sa.Text(), nullable=True, comment="The same in words"),
        sa.Column("request_id", sa.Text(), nullable=True, comment="The provider's request id of the failure"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="When it was submitted"),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True, comment="When it reached an end state"),
        sa.CheckConstraint(
            "state IN ('pending', 'active', 'succeeded', 'failed', 'cancelled', 'in_doubt')",
            name=op.f("ck_job_state_known"),
        ),
        sa.CheckConstraint("price > 0", name=op.f("ck_job_price_positive")),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_job_batch_id")),
        sa.ForeignKeyConstraint(["reference_hash"], ["reference.sha256"], name=op.f("fk_job_reference_hash")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
    )
    op.create_index("ix_job_batch_line", "job", ["batch_id", "line", "state"], unique=False)
    op.create_index(
        "ix_job_pending", "job", ["batch_id", "line"], unique=False, postgresql_where=sa.text("state = 'pending'")
    )
    op.create_index("uq_job_batch_key", "job", ["batch_id", "key"], unique=True)
    op.create_table(
        "generation",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7"),
        sa.Column("job_id", sa.Uuid(), nullable=False, comment="What it is an attempt at"),
        sa.Column("batch_id", sa.Uuid(), nullable=False, comment="Whose credits it uses"),
        sa.Column("account_id", sa.Uuid(), nullable=False, comment="Who pays the provider"),
        sa.Column("number", sa.BigInteger(), nullable=False, comment="1 for a job's first attempt"),
        sa.Column("idempotency_key", sa.Text(), nullable=False, comment="Sent with every copy of the request"),
        sa.Column("body", sa.LargeBinary(), nullable=True, comment="The exact request; NULL until it is frozen"),
        sa.Column("provider_id", sa.Text(), nullable=True, comment="The provider's id of the task"),
        sa.Column(
            "state",
            sa.Text(),
            nullable=False,
            comment="held, sending, accepted, succeeded, failed, refused, void or in_doubt",
        ),
        sa.Column("held", sa.BigInteger(), nullable=False, comment="Credits promised before the call"),
        sa.Column("reserved", sa.BigInteger(), nullable=True, comment="Credits that the provider said it reserved"),
        sa.Column("final", sa.BigInteger(), nullable=True, comment="Credits that the provider finally charged"),
        sa.Column(
            "sends",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="How often the request was begun to be sent",
        ),
        sa.Column(
            "answers",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="How many of them surely created nothing",
        ),
        sa.Column(
            "polls",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="How often it was asked about before it ended",
        ),
        sa.Column("result_url", sa.Text(), nullable=True, comment="Where the provider put the image"),
        sa.Column("error_code", sa.Text(), nullable=True, comment="The provider's code when it did not succeed"),
        sa.Column("error_message", sa.Text(), nullable=True, comment="The provider's words"),
        sa.Column("request_id", sa.Text(), nullable=True, comment="The provider's id of the request that ended it"),
        sa.Column("admitted_at", sa.DateTime(timezone=True), nullable=False, comment="When the hold was posted"),
        sa.Column(
            "first_sent_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the request was first begun to be sent",
        ),
        sa.Column(
            "accepted_at", sa.DateTime(timezone=True), nullable=True, comment="When the provider's id was recorded"
        ),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True, comment="When its outcome was recorded"),
        sa.CheckConstraint(
            "state IN ('held', 'sending', 'accepted', 'succeeded', 'failed', 'refused', 'void', 'in_doubt')",
            name=op.f("ck_generation_state_known"),
        ),
        sa.CheckConstraint("sends = 0 OR body IS NOT NULL", name=op.f("ck_generation_body_before_send")),
        sa.CheckConstraint("sends >= 0 AND answers BETWEEN 0 AND sends", name=op.f("ck_generation_sends_counted")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_generation_account_id")),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_generation_batch_id")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_generation_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_generation")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_generation_idempotency_key")),
        sa.UniqueConstraint("provider_id", name=op.f("uq_generation_provider_id")),
    )
    op.create_index(
        "ix_generation_live",
        "generation",
        ["account_id", "state"],
        unique=False,
        postgresql_where=sa.text("state IN ('held', 'sending', 'accepted', 'in_doubt')"),
    )
    op.create_index("uq_generation_job_number", "generation", ["job_id", "number"], unique=True)
    op.create_table(
        "result",
        sa.Column("job_id", sa.Uuid(), nullable=False, comment="Whose image it is"),
        sa.Column("generation_id", sa.Uuid(), nullable=False, comment="Who made it"),
        sa.Column("source_url", sa.Text(), nullable=False, comment="Where the provider had put it"),
        sa.Column("path", sa.Text(), nullable=False, comment="Where it lies in the store"),
        sa.Column("sha256", sa.Text(), nullable=False, comment="Hex digest of the bytes"),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False, comment="How many bytes"),
        sa.Column("mime_type", sa.Text(), nullable=False, comment="By signature"),
        sa.Column("width", sa.BigInteger(), nullable=False, comment="Pixels"),
        sa.Column("height", sa.BigInteger(), nullable=False, comment="Pixels"),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False, comment="When it was in hand"),
        sa.ForeignKeyConstraint(["generation_id"], ["generation.id"], name=op.f("fk_result_generation_id")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_result_job_id")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_result")),
        sa.UniqueConstraint("generation_id", name=op.f("uq_result_generation_id")),
        sa.UniqueConstraint("path", name=op.f("uq_result_path")),
    )
    op.create_table(
        "step",
        sa.Column("job_id", sa.Uuid(), nullable=False, comment="Whose step it is"),
        sa.Column("generation_id", sa.Uuid(), nullable=False, comment="The paid attempt it works on"),
        sa.Column("account_id", sa.Uuid(), nullable=False, comment="Whose requests it uses"),
        sa.Column("kind", sa.Text(), nullable=False, comment="upload, submit, poll or collect"),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False, comment="Not before this instant"),
        sa.Column(
            "lease_until", sa.DateTime(timezone=True), nullable=True, comment="Owned until then; past or NULL: free"
        ),
        sa.Column(
            "fence",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="Goes up with each lease and claim; an old one is stale",
        ),
        sa.Column(
            "attempts",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="Tries of this kind that failed in a row",
        ),
        sa.Column(
            "polls", sa.BigInteger(), server_default="0", nullable=False, comment="Answers that it had not ended yet"
        ),
        sa.Column(
            "since", sa.DateTime(timezone=True), nullable=False, comment="When the job came to this kind of step"
        ),
        sa.CheckConstraint("kind IN ('upload', 'submit', 'poll', 'collect')", name=op.f("ck_step_kind_known")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_step_account_id")),
        sa.ForeignKeyConstraint(["generation_id"], ["generation.id"], name=op.f("fk_step_generation_id")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_step_job_id")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_step")),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index("ix_step_due", "step", ["account_id", "due_at"], unique=False)
    op.execute(_VACUUM_STEPS)


def downgrade() -> None:
    op.drop_index("ix_step_due", table_name="step")
    op.drop_table("step")
    op.drop_table("result")
    op.drop_index("uq_generation_job_number", table_name="generation")
    op.drop_index(
        "ix_generation_live",
        table_name="generation",
        postgresql_where=sa.text("state IN ('held', 'sending', 'accepted', 'in_doubt')"),
    )
    op.drop_table("generation")
    op.drop_index("uq_job_batch_key", table_name="job")
    op.drop_index("ix_job_pending", table_name="job", postgresql_where=sa.text("state = 'pending'"))
    op.drop_index("ix_job_batch_line", table_name="job")
    op.drop_table("job")
