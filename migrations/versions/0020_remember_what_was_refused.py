"""Remember which rate the provider refused, and share between nodes how scarce requests are."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0020"
down_revision: str | None = "0019"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_BEFORE = "When the rate was last raised"
_AFTER = "Since when every slot has been taken, as far as that was not looked at yet"


def upgrade() -> None:
    op.add_column(
        "account",
        sa.Column(
            "refused_rate", sa.Double(), nullable=True, comment="Requests per second that were too many; NULL: unknown"
        ),
    )
    op.add_column(
        "account",
        sa.Column(
            "scarcity",
            sa.Double(),
            server_default="0",
            nullable=False,
            comment="0: every request finds a slot, to 1: all wait for one",
        ),
    )
    op.alter_column(
        "account", "raised_at", existing_type=sa.DateTime(timezone=True), comment=_AFTER, existing_comment=_BEFORE
    )


def downgrade() -> None:
    op.alter_column(
        "account", "raised_at", existing_type=sa.DateTime(timezone=True), comment=_BEFORE, existing_comment=_AFTER
    )
    op.drop_column("account", "scarcity")
    op.drop_column("account", "refused_rate")
