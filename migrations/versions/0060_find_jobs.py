"""Find jobs by key, failed ones by batch, a batch's plan and a generation's corrections without reading all of them."""

from collections.abc import Sequence

from migrations import scripts

revision: str = "0060"
down_revision: str | None = "0059"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_UP = """
CREATE INDEX ix_job_key ON job (key text_pattern_ops);
CREATE INDEX ix_job_faulty ON job (batch_id, state) WHERE state IN ('failed', 'in_doubt');
CREATE INDEX ix_credit_entry_correction ON credit_entry (generation_id) WHERE kind = 'correct';
CREATE INDEX ix_catalog_plan_batch ON catalog_plan (batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX ix_catalog_plan_sample ON catalog_plan (sample_batch_id) WHERE sample_batch_id IS NOT NULL;
"""
_DOWN = """
DROP INDEX ix_catalog_plan_sample;
DROP INDEX ix_catalog_plan_batch;
DROP INDEX ix_credit_entry_correction;
DROP INDEX ix_job_faulty;
DROP INDEX ix_job_key;
"""


def upgrade() -> None:
    scripts.run(_UP)


def downgrade() -> None:
    scripts.run(_DOWN)
