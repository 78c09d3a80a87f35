"""Remember when a 429 closed a key, so that one refused again at once is closed for longer."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0038"
down_revision: str | None = "0036"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column(
        "account",
        sa.Column(
            "closed_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When a 429 closed the key, the first of a run; NULL: never",
        ),
    )


def downgrade() -> None:
    op.drop_column("account", "closed_at")
