"""Remember which catalogs were removed, by whom."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0040"
down_revision: str | None = "0039"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_WHOLE = "ck_catalog_removal_whole"


def upgrade() -> None:
    op.add_column(
        "catalog",
        sa.Column("removed_at", sa.DateTime(timezone=True), comment="When it was removed; NULL again once imported"),
    )
    op.add_column("catalog", sa.Column("removed_by", sa.Text(), comment="Who removed it"))
    op.create_check_constraint(op.f(_WHOLE), "catalog", "(removed_at IS NULL) = (removed_by IS NULL)")


def downgrade() -> None:
    op.drop_constraint(op.f(_WHOLE), "catalog")
    op.drop_column("catalog", "removed_by")
    op.drop_column("catalog", "removed_at")
