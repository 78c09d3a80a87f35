"""Keep a row of each living node, with the offset of its wall clock from the server's."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0028"
down_revision: str | None = "0026"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "node",
        sa.Column("id", sa.Uuid(), nullable=False, comment="Of the process; a restart is another node"),
        sa.Column("name", sa.Text(), nullable=False, comment="Host and process id"),
        sa.Column(
            "started_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When its dispatcher first wrote this row",
        ),
        sa.Column(
            "seen_at", sa.DateTime(timezone=True), nullable=False, comment="When its dispatcher last wrote this row"
        ),
        sa.Column(
            "last_round_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When its dispatcher last completed a round; NULL: not yet",
        ),
        sa.Column(
            "clock_offset_s", sa.Float(), nullable=False, comment="Its wall clock minus the server's, in seconds"
        ),
        sa.Column("version", sa.Text(), nullable=False, comment="Of the package that it runs"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_node")),
    )
    op.execute("SELECT grant_application_rights()")


def downgrade() -> None:
    op.drop_table("node")
