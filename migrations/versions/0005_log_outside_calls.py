"""Log every outside call, and remember what the settings said of an account's limits."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_APPEND_ONLY = """
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON call
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"""


def upgrade() -> None:
    op.create_table(
        "call",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="In the order of writing"),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False, comment="When it was begun to be sent"),
        sa.Column(
            "ended_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When its answer was there; NULL: nobody saw one",
        ),
        sa.Column("account_id", sa.Uuid(), nullable=False, comment="With whose key"),
        sa.Column(
            "generation_id", sa.Uuid(), nullable=True, comment="For which paid attempt; NULL: it was about the wallet"
        ),
        sa.Column("http_status", sa.SmallInteger(), nullable=True, comment="As answered; NULL: no answer, or not kept"),
        sa.Column("send", sa.SmallInteger(), nullable=True, comment="Which copy of a paid request it was, from 1"),
        sa.Column(
            "is_late",
            sa.Boolean(),
            nullable=False,
            comment="Whether its answer came too late for anything to follow from it",
        ),
        sa.Column("kind", sa.Text(), nullable=False, comment="create, get, upload, download or credits"),
        sa.Column("outcome", sa.Text(), nullable=False, comment="ok, or what kind of error it was"),
        sa.Column("code", sa.Text(), nullable=True, comment="The error's code, or the status that a generation had"),
        sa.Column("message", sa.Text(), nullable=True, comment="The provider's words, when it was not ok"),
        sa.Column("request_id", sa.Text(), nullable=True, comment="The provider's id of this request"),
        sa.Column("provider_id", sa.Text(), nullable=True, comment="The id that the provider answered with"),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True, comment="Of an image that was sent or fetched"),
        sa.CheckConstraint(
            "kind IN ('create', 'get', 'upload', 'download', 'credits')", name=op.f("ck_call_kind_known")
        ),
        sa.CheckConstraint(
            "outcome IN ('ok', 'refused', 'not_found', 'conflict', 'throttled', 'paused', 'unavailable', 'unknown')",
            name=op.f("ck_call_outcome_known"),
        ),
        sa.CheckConstraint("(kind = 'credits') = (generation_id IS NULL)", name=op.f("ck_call_about_a_generation")),
        sa.CheckConstraint("(kind = 'create') = (send IS NOT NULL)", name=op.f("ck_call_send_numbered")),
        sa.CheckConstraint("ended_at IS NOT NULL OR outcome = 'unknown'", name=op.f("ck_call_end_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call")),
    )
    op.create_index(
        "ix_call_generation",
        "call",
        ["generation_id"],
        unique=False,
        postgresql_where=sa.text("generation_id IS NOT NULL"),
    )
    op.execute(_APPEND_ONLY)
    op.add_column(
        "generation",
        sa.Column(
            "last_sent_at", sa.DateTime(timezone=True), nullable=True, comment="When it was last begun to be sent"
        ),
    )
    op.add_column(
        "account",
        sa.Column("rate_setting", sa.Text(), nullable=True, comment="DARKROOM_RATE when it was last applied"),
    )
    op.add_column(
        "account",
        sa.Column(
            "max_in_flight_setting",
            sa.BigInteger(),
            nullable=True,
            comment="DARKROOM_MAX_IN_FLIGHT when it was last applied",
        ),
    )


def downgrade() -> None:
    op.drop_column("account", "max_in_flight_setting")
    op.drop_column("account", "rate_setting")
    op.drop_column("generation", "last_sent_at")
    op.drop_index("ix_call_generation", table_name="call", postgresql_where=sa.text("generation_id IS NOT NULL"))
    op.drop_table("call")
