"""Keep with each node the newest migration that its code knows: contracting migrations wait for old nodes."""

from collections.abc import Sequence

from migrations import scripts

revision: str = "0061"
down_revision: str | None = "0060"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_UP = """
ALTER TABLE node ADD COLUMN knows text;
COMMENT ON COLUMN node.knows IS 'The newest migration that its code knows; NULL: it is older than this column';
"""


def upgrade() -> None:
    scripts.run(_UP)


def downgrade() -> None:
    scripts.run("ALTER TABLE node DROP COLUMN knows")
