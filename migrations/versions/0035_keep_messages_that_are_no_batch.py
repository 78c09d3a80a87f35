"""Keep messages that were refused as a whole, and count those that were dropped."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0035"
down_revision: str | None = "0034"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


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
    op.execute("SELECT grant_application_rights()")


def downgrade() -> None:
    op.drop_table("dropped_message")
    op.drop_table("refused_message")
