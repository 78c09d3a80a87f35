"""Know several models, and what crashes: further references of jobs and items, crashes in a row of steps."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0034"
down_revision: str | None = "0026"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_PARAMS = "image_size and output_format, defaults filled in"


def upgrade() -> None:
    op.alter_column(
        "job",
        "params",
        existing_type=postgresql.JSONB(),
        existing_nullable=False,
        comment="As the model names them, defaults filled in",
        existing_comment=_PARAMS,
    )
    for table in ("job", "catalog_item"):
        op.add_column(
            table,
            sa.Column(
                "further_references",
                postgresql.ARRAY(sa.Text()),
                nullable=True,
                comment="SHA-256 of those after the first, in their order; NULL: there are none",
            ),
        )

    op.add_column(
        "step",
        sa.Column(
            "crashes", sa.BigInteger(), server_default="0", nullable=False, comment="Crashes of our own code in a row"
        ),
    )
    op.create_index(
        "ix_job_crashed", "job", ["ended_at"], unique=False, postgresql_where=sa.text("failure_code = 'internal_error'")
    )


def downgrade() -> None:
    # A version that knows one reference a job would send the first alone: what has more than that may not be lost.
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM job WHERE further_references IS NOT NULL AND state IN ('pending', 'active')) THEN
                RAISE EXCEPTION 'jobs with several references are waiting: let them end, or cancel their batches';
            END IF;
        END $$""")
    op.drop_index("ix_job_crashed", table_name="job", postgresql_where=sa.text("failure_code = 'internal_error'"))
    op.drop_column("step", "crashes")
    for table in ("job", "catalog_item"):
        op.drop_column(table, "further_references")
    op.alter_column("job", "params", existing_type=postgresql.JSONB(), existing_nullable=False, comment=_PARAMS)
