"""Keep messages that were refused as a whole, count those that were dropped, and let references be fetched later."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0027"
down_revision: str | None = "0026"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_KINDS = "'wallet', 'seal', 'reread', 'deadlines', 'harvest', 'schedule', 'hooks'"
_BEFORE = "wallet, seal, reread, deadlines, harvest, schedule or hooks"
_AFTER = "wallet, seal, reread, deadlines, harvest, schedule, hooks or intake"


def upgrade() -> None:
    op.create_table(
        "refused_message",
        sa.Column("batch_id", sa.Uuid(), nullable=False, comment="The refused batch"),
        sa.Column("queue", sa.Text(), nullable=False, comment="Where it came from"),
        sa.Column(
            "raw",
            sa.LargeBinary(),
            nullable=False,
            comment="Its first 64 KiB: the body, or the whole message if it was not readable",
        ),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False, comment="Bytes of the whole"),
        sa.Column("sha256", sa.Text(), nullable=False, comment="SHA-256 of the whole, in hex"),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False, comment="When it was taken off the queue"),
        sa.CheckConstraint("octet_length(raw) <= 65536", name=op.f("ck_refused_message_raw_bounded")),
        sa.CheckConstraint("size_bytes >= 0", name=op.f("ck_refused_message_size_not_negative")),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_refused_message_batch_id")),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_refused_message")),
    )
    op.create_table(
        "dropped_message",
        sa.Column("queue", sa.Text(), nullable=False, comment="Where they came from"),
        sa.Column("day", sa.Date(), nullable=False, comment="The day in UTC"),
        sa.Column("messages", sa.BigInteger(), nullable=False, comment="How many"),
        sa.Column("last_reason", sa.Text(), nullable=False, comment="Why the last one was dropped"),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False, comment="When the last one was dropped"),
        sa.CheckConstraint("messages >= 1", name=op.f("ck_dropped_message_messages_positive")),
        sa.PrimaryKeyConstraint("queue", "day", name=op.f("pk_dropped_message")),
    )
    _create_intake()
    _permit_kinds(f"{_KINDS}, 'intake'", comment=_AFTER, before=_BEFORE)
    op.execute("SELECT grant_application_rights()")


def _create_intake() -> None:
    op.create_table(
        "intake",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7"),
        sa.Column("account_id", sa.Uuid(), nullable=False, comment="Whose nodes take it"),
        sa.Column(
            "name", sa.Text(), nullable=False, comment="The message's id or hash: its redelivery is the same row"
        ),
        sa.Column("token", sa.Text(), nullable=False, comment="The token that the batch will have"),
        sa.Column("queue", sa.Text(), nullable=False, comment="Where the message came from"),
        sa.Column("compression", sa.Text(), nullable=True, comment="How the body is compressed; NULL: not at all"),
        sa.Column(
            "body",
            sa.LargeBinary(),
            nullable=True,
            comment="The body as it was received; NULL once its batch is written",
        ),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False, comment="How often it was claimed"),
        sa.Column(
            "fence",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="Goes up with each claim; an old one is stale",
        ),
        sa.Column(
            "lease_until", sa.DateTime(timezone=True), nullable=True, comment="Owned until then; past or NULL: free"
        ),
        sa.Column("error", sa.Text(), nullable=True, comment="Why the last claim did not end it"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="When it was taken off the queue"),
        sa.Column(
            "ended_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When its batch was written, or refused; NULL: not yet",
        ),
        sa.CheckConstraint("(ended_at IS NULL) = (body IS NOT NULL)", name=op.f("ck_intake_body_until_ended")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_intake_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_intake")),
        sa.UniqueConstraint("name", name=op.f("uq_intake_name")),
    )
    op.create_index(
        "ix_intake_waiting", "intake", ["account_id", "created_at"], postgresql_where=sa.text("ended_at IS NULL")
    )
    op.create_index("ix_intake_ended", "intake", ["ended_at"], postgresql_where=sa.text("ended_at IS NOT NULL"))


def _permit_kinds(kinds: str, *, comment: str, before: str) -> None:
    op.drop_constraint(op.f("ck_upkeep_kind_known"), "upkeep", type_="check")
    op.create_check_constraint(op.f("ck_upkeep_kind_known"), "upkeep", f"kind IN ({kinds})")
    op.alter_column("upkeep", "kind", existing_type=sa.Text(), comment=comment, existing_comment=before)


def downgrade() -> None:
    op.execute("DELETE FROM upkeep WHERE kind = 'intake'")
    _permit_kinds(_KINDS, comment=_BEFORE, before=_AFTER)
    op.drop_table("intake")
    op.drop_table("dropped_message")
    op.drop_table("refused_message")
