"""Create accounts with their wallet readings, batches with what was refused of them, and references."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7"),
        sa.Column("name", sa.Text(), nullable=False, comment="What people and settings call it"),
        sa.Column("base_url", sa.Text(), nullable=True, comment="The provider that it was last used with"),
        sa.Column("rate", sa.Double(), nullable=False, comment="Requests per second, learned or set"),
        sa.Column("is_rate_learned", sa.Boolean(), nullable=False, comment="Whether the rate is found by trying"),
        sa.Column("max_in_flight", sa.BigInteger(), nullable=False, comment="Generations that may be open at once"),
        sa.Column(
            "next_slot_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="First request slot that is not given away",
        ),
        sa.Column(
            "blocked_until",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="No request before it: the provider said so",
        ),
        sa.Column("throttled_at", sa.DateTime(timezone=True), nullable=True, comment="When a 429 last cut the rate"),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False, comment="When the rate was last raised"),
        sa.Column(
            "class_times",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="Virtual time per priority class",
        ),
        sa.Column("pause_reason", sa.Text(), nullable=True, comment="Why no paid work is done; NULL: it is"),
        sa.Column("pause_message", sa.Text(), nullable=True, comment="The provider's words about it"),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True, comment="Since when"),
        sa.Column(
            "probe_at", sa.DateTime(timezone=True), nullable=True, comment="When the next look at the account is due"
        ),
        sa.Column("probes", sa.BigInteger(), server_default="0", nullable=False, comment="Looks since the pause began"),
        sa.CheckConstraint(
            "pause_reason IN ('insufficient_credits', 'api_key_missing', 'api_key_invalid', 'api_key_revoked', "
            "'api_key_expired', 'api_scope_denied', 'public_api_disabled', 'unauthorized', 'operator')",
            name=op.f("ck_account_pause_reason_known"),
        ),
        sa.CheckConstraint("(pause_reason IS NULL) = (paused_at IS NULL)", name=op.f("ck_account_pause_complete")),
        sa.CheckConstraint("rate > 0", name=op.f("ck_account_rate_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("name", name=op.f("uq_account_name")),
    )
    op.create_table(
        "reference",
        sa.Column("sha256", sa.Text(), nullable=False, comment="Hex digest of the bytes"),
        sa.Column("name", sa.Text(), nullable=False, comment="The file's name when it was first seen"),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False, comment="How many bytes"),
        sa.Column("mime_type", sa.Text(), nullable=False, comment="By signature, not by name"),
        sa.Column("width", sa.BigInteger(), nullable=False, comment="Pixels"),
        sa.Column("height", sa.BigInteger(), nullable=False, comment="Pixels"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="When it was first seen"),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_reference")),
    )
    op.create_table(
        "batch",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7"),
        sa.Column("account_id", sa.Uuid(), nullable=False, comment="Who pays for it"),
        sa.Column("token", sa.Text(), nullable=False, comment="The producer's own; the same token is the same batch"),
        sa.Column(
            "content_hash", sa.Text(), nullable=False, comment="SHA-256 over the requests, to tell a reused token"
        ),
        sa.Column("name", sa.Text(), nullable=False, comment="What people call it"),
        sa.Column("owner", sa.Text(), nullable=False, comment="Who answers for its credits"),
        sa.Column("purpose", sa.Text(), nullable=False, comment="bulk, refresh or single"),
        sa.Column("priority", sa.Text(), nullable=False, comment="Its class when work is shared out"),
        sa.Column("weight", sa.BigInteger(), server_default="1", nullable=False, comment="Its share inside the class"),
        sa.Column(
            "virtual_time", sa.Double(), server_default="0", nullable=False, comment="Admissions divided by weight"
        ),
        sa.Column("credit_cap", sa.BigInteger(), nullable=True, comment="Credits that it may commit; NULL: no cap"),
        sa.Column(
            "committed", sa.BigInteger(), server_default="0", nullable=False, comment="Credits held, reserved or spent"
        ),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="Jobs in it"),
        sa.Column("has_pending", sa.Boolean(), nullable=False, comment="False once a look for pending jobs found none"),
        sa.Column("state", sa.Text(), nullable=False, comment="open, cancelled or refused"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="When it was submitted"),
        sa.CheckConstraint("priority IN ('interactive', 'refresh', 'bulk')", name=op.f("ck_batch_priority_known")),
        sa.CheckConstraint("purpose IN ('bulk', 'refresh', 'single')", name=op.f("ck_batch_purpose_known")),
        sa.CheckConstraint("state IN ('open', 'cancelled', 'refused')", name=op.f("ck_batch_state_known")),
        sa.CheckConstraint("committed >= 0", name=op.f("ck_batch_committed_not_negative")),
        sa.CheckConstraint("weight >= 1", name=op.f("ck_batch_weight_positive")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_batch_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch")),
        sa.UniqueConstraint("token", name=op.f("uq_batch_token")),
    )
    op.create_index("ix_batch_created_at", "batch", ["created_at"], unique=False)
    op.create_index(
        "ix_batch_waiting",
        "batch",
        ["account_id"],
        unique=False,
        postgresql_where=sa.text("has_pending AND state = 'open'"),
    )
    op.create_table(
        "upload",
        sa.Column("account_id", sa.Uuid(), nullable=False, comment="At whose account"),
        sa.Column("reference_hash", sa.Text(), nullable=False, comment="Which bytes"),
        sa.Column("provider_id", sa.Text(), nullable=True, comment="The provider's file id"),
        sa.Column("url", sa.Text(), nullable=True, comment="What a request names; NULL while it is being uploaded"),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=True, comment="When the provider confirmed it"),
        sa.Column(
            "lease_until",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="Until when its uploader has it to itself",
        ),
        sa.CheckConstraint("(url IS NULL) = (uploaded_at IS NULL)", name=op.f("ck_upload_url_with_time")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_upload_account_id")),
        sa.ForeignKeyConstraint(["reference_hash"], ["reference.sha256"], name=op.f("fk_upload_reference_hash")),
        sa.PrimaryKeyConstraint("account_id", "reference_hash", name=op.f("pk_upload")),
    )
    op.create_table(
        "wallet_reading",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7"),
        sa.Column("account_id", sa.Uuid(), nullable=False, comment="Whose wallet"),
        sa.Column("credits", sa.BigInteger(), nullable=False, comment="The balance as answered"),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False, comment="When it was read"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_wallet_reading_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wallet_reading")),
    )
    op.create_index("ix_wallet_reading_account", "wallet_reading", ["account_id", "read_at"], unique=False)
    op.create_table(
        "refused_line",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7"),
        sa.Column("batch_id", sa.Uuid(), nullable=False, comment="The batch that it came with"),
        sa.Column("line", sa.BigInteger(), nullable=False, comment="Line of the manifest, from 1; 0: the batch itself"),
        sa.Column("key", sa.Text(), nullable=True, comment="The caller's key, when it had a readable one"),
        sa.Column("field", sa.Text(), nullable=False, comment="Which column is at fault"),
        sa.Column("reason", sa.Text(), nullable=False, comment="What is wrong with it"),
        sa.Column(
            "permitted", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="What would be taken instead"
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_refused_line_batch_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refused_line")),
    )
    op.create_index("ix_refused_line_batch", "refused_line", ["batch_id", "line"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_refused_line_batch", table_name="refused_line")
    op.drop_table("refused_line")
    op.drop_index("ix_wallet_reading_account", table_name="wallet_reading")
    op.drop_table("wallet_reading")
    op.drop_table("upload")
    op.drop_index("ix_batch_waiting", table_name="batch", postgresql_where=sa.text("has_pending AND state = 'open'"))
    op.drop_index("ix_batch_created_at", table_name="batch")
    op.drop_table("batch")
    op.drop_table("reference")
    op.drop_table("account")
