"""Find jobs by the code or the words of their failure, newest first, without reading all that failed."""

from collections.abc import Sequence

from migrations import scripts

revision: str = "0067"
down_revision: str | None = "0066"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_UP = """
CREATE INDEX ix_job_failure ON job (failure_code, id) WHERE state IN ('failed', 'in_doubt');
CREATE INDEX ix_job_faulty_id ON job (id) WHERE state IN ('failed', 'in_doubt');
"""
_DOWN = """
DROP INDEX ix_job_faulty_id;
DROP INDEX ix_job_failure;
"""


def upgrade() -> None:
    scripts.run(_UP)


def downgrade() -> None:
    scripts.run(_DOWN)
