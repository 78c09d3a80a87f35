"""Find a generation's entries by the index that keeps their kinds unique, and let a batch's lines keep one index entry.

An entry was in two indexes by its generation: a partial one that is unique, and one for the foreign key. One unique
index over all entries serves both; corrections, of which there may be many, are told apart by their ids.

A job's state was a key of the index of its batch's lines, so each state left an index entry under another key.
Included instead, it lets PostgreSQL delete those of dead rows before it splits a page.
"""

from collections.abc import Sequence

from migrations import scripts

revision: str = "0076"
down_revision: str | None = "0075"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_UP = """
CREATE UNIQUE INDEX uq_credit_entry_generation
    ON credit_entry (generation_id, kind, (CASE WHEN kind = 'correct' THEN id ELSE 0 END));
DROP INDEX uq_credit_entry_generation_kind;
DROP INDEX ix_credit_entry_generation;

DROP INDEX ix_job_batch_line;
CREATE INDEX ix_job_batch_line ON job (batch_id, line) INCLUDE (state);
"""
_DOWN = """
DROP INDEX ix_job_batch_line;
CREATE INDEX ix_job_batch_line ON job (batch_id, line, state);

CREATE INDEX ix_credit_entry_generation ON credit_entry (generation_id);
CREATE UNIQUE INDEX uq_credit_entry_generation_kind ON credit_entry (generation_id, kind) WHERE kind <> 'correct';
DROP INDEX uq_credit_entry_generation;
"""


def upgrade() -> None:
    scripts.run(_UP)


def downgrade() -> None:
    scripts.run(_DOWN)
