"""Keep messages while their references are fetched."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0042"
down_revision: str | None = "0041"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "waiting_message",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7"),
        sa.Column("account_id", sa.Uuid(), nullable=False, comment="Whose nodes take it"),
        sa.Column(
            "name",
            sa.Text(),
            nullable=False,
            comment="Its own id, or a name made from its hash: what a redelivery has too",
        ),
        sa.Column("sha256", sa.Text(), nullable=False, comment="SHA-256 of the body as it was delivered, in hex"),
        sa.Column("body", sa.LargeBinary(), nullable=False, comment="As it was delivered"),
        sa.Column("compression", sa.Text(), nullable=True, comment="Of the body, as its producer named it; NULL: none"),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False, comment="When it was taken off the queue"),
        sa.Column(
            "due_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When it may be claimed; while a node has it, the end of its lease",
        ),
        sa.Column(
            "fence",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="Goes up with each claim; an old one is stale",
        ),
        sa.Column(
            "tries",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="Claims whose node has not given it back",
        ),
        sa.CheckConstraint("octet_length(body) <= 16777216", name=op.f("ck_waiting_message_body_bounded")),
        sa.CheckConstraint("tries >= 0", name=op.f("ck_waiting_message_tries_not_negative")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_waiting_message_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_waiting_message")),
        sa.UniqueConstraint("account_id", "name", "sha256", name=op.f("uq_waiting_message_account_id_name_sha256")),
    )
    op.create_index("ix_waiting_message_due", "waiting_message", ["account_id", "due_at"], unique=False)
    op.execute("SELECT grant_application_rights()")


def downgrade() -> None:
    op.drop_index("ix_waiting_message_due", table_name="waiting_message")
    op.drop_table("waiting_message")
