"""Keep when a provider that failed worked again, so that what was created before counts against no job."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations import rights

revision: str = "0051"
down_revision: str | None = "0050"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_WHEN = "When the last pause for failures ended; NULL: there was none"


def upgrade() -> None:
    op.add_column(
        "provider_health", sa.Column("recovered_at", sa.DateTime(timezone=True), nullable=True, comment=_WHEN)
    )
    rights.AT_0051.grant()


def downgrade() -> None:
    op.drop_column("provider_health", "recovered_at")
    rights.AT_0049.grant()
