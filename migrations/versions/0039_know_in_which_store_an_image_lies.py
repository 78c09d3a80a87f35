"""Record with each image the store in which it lies."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0039"
down_revision: str | None = "0038"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    # Images of before have none: an account may have adopted another store since, so that it would be a guess.
    op.add_column(
        "result",
        sa.Column(
            "store_id",
            sa.Uuid(),
            nullable=True,
            comment="Identity of the store that it was put into; NULL: stored before this was recorded",
        ),
    )


def downgrade() -> None:
    op.drop_column("result", "store_id")
