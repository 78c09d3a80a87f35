"""Permit any name of a maintenance job, so that a new job needs no change of the schema."""

from collections.abc import Sequence

from migrations import scripts

revision: str = "0058"
down_revision: str | None = "0057"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_UP = """
ALTER TABLE maintenance DROP CONSTRAINT ck_maintenance_kind_known;
COMMENT ON COLUMN maintenance.kind IS 'The name of the maintenance job';
"""
_KINDS = "'wallet', 'seal', 'reread', 'deadlines', 'sync_results', 'schedule', 'hooks', 'store'"
_DOWN = f"""
DELETE FROM maintenance WHERE kind NOT IN ({_KINDS});
ALTER TABLE maintenance ADD CONSTRAINT ck_maintenance_kind_known CHECK (kind IN ({_KINDS}));
COMMENT ON COLUMN maintenance.kind IS
    'wallet, seal, reread, deadlines, sync_results, schedule, hooks or store';
"""  # noqa: S608 - names from above


def upgrade() -> None:
    scripts.run(_UP)


def downgrade() -> None:
    scripts.run(_DOWN)
