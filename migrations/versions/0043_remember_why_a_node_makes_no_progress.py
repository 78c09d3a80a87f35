"""Remember why a dispatcher completes no round, and why upkeep fails."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0043"
down_revision: str | None = "0042"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column(
        "node",
        sa.Column(
            "error",
            sa.Text(),
            nullable=True,
            comment="Why its dispatcher did not complete its last round; NULL: it did",
        ),
    )
    op.add_column(
        "upkeep",
        sa.Column(
            "done_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When it last ended without an error, to a minute; at first: when it began",
        ),
    )
    op.add_column(
        "upkeep",
        sa.Column(
            "error",
            sa.Text(),
            nullable=True,
            comment="Why it last failed; NULL: it has ended without an error since",
        ),
    )


def downgrade() -> None:
    op.drop_column("upkeep", "error")
    op.drop_column("upkeep", "done_at")
    op.drop_column("node", "error")
