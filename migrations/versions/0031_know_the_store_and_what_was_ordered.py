"""Know the store of an account by its identity, and look after it."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0031"
down_revision: str | None = "0026"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_KINDS = "'wallet', 'seal', 'reread', 'deadlines', 'harvest', 'schedule', 'hooks'"
_COMMENT = "wallet, seal, reread, deadlines, harvest, schedule or hooks"
_COMMENT_AFTER = "wallet, seal, reread, deadlines, harvest, schedule, hooks or store"


def upgrade() -> None:
    op.add_column(
        "account",
        sa.Column(
            "store_id", sa.Uuid(), nullable=True, comment="Identity of the store of its images; NULL: not used yet"
        ),
    )
    op.add_column(
        "account",
        sa.Column("store_place", sa.Text(), nullable=True, comment="Where that store was when it was adopted"),
    )
    op.add_column(
        "account",
        sa.Column(
            "store_failed_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Since when the store has failed; NULL: it works",
        ),
    )
    _permit_kinds(f"{_KINDS}, 'store'")
    op.alter_column("upkeep", "kind", existing_type=sa.Text(), comment=_COMMENT_AFTER, existing_comment=_COMMENT)


def downgrade() -> None:
    op.alter_column("upkeep", "kind", existing_type=sa.Text(), comment=_COMMENT, existing_comment=_COMMENT_AFTER)
    op.execute("DELETE FROM upkeep WHERE kind = 'store'")
    _permit_kinds(_KINDS)
    op.drop_column("account", "store_failed_at")
    op.drop_column("account", "store_place")
    op.drop_column("account", "store_id")


def _permit_kinds(kinds: str) -> None:
    op.drop_constraint(op.f("ck_upkeep_kind_known"), "upkeep", type_="check")
    op.create_check_constraint(op.f("ck_upkeep_kind_known"), "upkeep", f"kind IN ({kinds})")
