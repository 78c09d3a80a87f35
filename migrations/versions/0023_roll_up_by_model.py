"""Roll entries up by model too, so that a statement by model need not read them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0023"
down_revision: str | None = "0022"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# The roll-up is made of the entries, which stay as they are, so that it can be made anew.
_MAKE = """
    INSERT INTO ledger_rollup (seal_id, day, batch_id{model}, kind, source, target, entries, credits)
    SELECT s.id, (e.posted_at AT TIME ZONE 'UTC')::date, e.batch_id{source}, e.kind, e.source, e.target, count(*),
        sum(e.credits)
    FROM (SELECT id, last_entry_id, lag(last_entry_id, 1, -9223372036854775808) OVER (ORDER BY id) AS before
          FROM seal) s
    JOIN credit_entry e ON e.id > s.before AND e.id <= s.last_entry_id
    JOIN generation g ON g.id = e.generation_id JOIN job j ON j.id = g.job_id
    GROUP BY s.id, 2, e.batch_id{source}, e.kind, e.source, e.target"""
_KEY = ["seal_id", "day", "batch_id", "model", "kind", "source", "target"]


def upgrade() -> None:
    _empty()
    op.add_column(
        "ledger_rollup",
        sa.Column("model", sa.Text(), nullable=False, comment="The provider's model id of what was made"),
    )
    op.create_primary_key(op.f("pk_ledger_rollup"), "ledger_rollup", _KEY)
    _fill(model=", model", source=", j.model")


def downgrade() -> None:
    _empty()
    op.drop_column("ledger_rollup", "model")
    op.create_primary_key(op.f("pk_ledger_rollup"), "ledger_rollup", [name for name in _KEY if name != "model"])
    _fill(model="", source="")


def _empty() -> None:
    op.execute("ALTER TABLE ledger_rollup DISABLE TRIGGER append_only")
    op.execute("DELETE FROM ledger_rollup")
    op.drop_constraint(op.f("pk_ledger_rollup"), "ledger_rollup", type_="primary")


def _fill(*, model: str, source: str) -> None:
    op.execute(_MAKE.format(model=model, source=source))
    op.execute("ALTER TABLE ledger_rollup ENABLE TRIGGER append_only")
