"""Find the jobs of a batch that ended last without looking at the others."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0016"
down_revision: str | None = "0015"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_index(
        "ix_job_ended",
        "job",
        ["batch_id", "ended_at", "id"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_job_ended", table_name="job", postgresql_where=sa.text("ended_at IS NOT NULL"))
