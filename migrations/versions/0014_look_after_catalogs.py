"""Let the upkeep of catalogs come due: their finished images, their schedules, and who is told."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_BEFORE = "wallet, seal or reread"
_AFTER = "wallet, seal, reread, harvest, schedule or hooks"


def upgrade() -> None:
    op.drop_constraint(op.f("ck_upkeep_kind_known"), "upkeep", type_="check")
    op.create_check_constraint(
        op.f("ck_upkeep_kind_known"),
        "upkeep",
        "kind IN ('wallet', 'seal', 'reread', 'harvest', 'schedule', 'hooks')",
    )
    op.alter_column("upkeep", "kind", existing_type=sa.Text(), comment=_AFTER, existing_comment=_BEFORE)


def downgrade() -> None:
    op.alter_column("upkeep", "kind", existing_type=sa.Text(), comment=_BEFORE, existing_comment=_AFTER)
    op.execute("DELETE FROM upkeep WHERE kind IN ('harvest', 'schedule', 'hooks')")
    op.drop_constraint(op.f("ck_upkeep_kind_known"), "upkeep", type_="check")
    op.create_check_constraint(op.f("ck_upkeep_kind_known"), "upkeep", "kind IN ('wallet', 'seal', 'reread')")
