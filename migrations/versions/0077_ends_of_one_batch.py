"""Keep the index of all ends from queries of one batch's.

"The newest ends of this batch" could be answered by walking back through the ends of all batches, and the planner chose
to, for a batch that had none: it read every ended job there is. The condition of the index is now one that only
queries of all batches name.
"""

from collections.abc import Sequence

from migrations import scripts

revision: str = "0077"
down_revision: str | None = "0076"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    scripts.run("""
        DROP INDEX ix_job_ended_at;
        CREATE INDEX ix_job_ended_at ON job (ended_at) WHERE ended_at > '-infinity';""")


def downgrade() -> None:
    scripts.run("""
        DROP INDEX ix_job_ended_at;
        CREATE INDEX ix_job_ended_at ON job (ended_at) WHERE ended_at IS NOT NULL;""")
