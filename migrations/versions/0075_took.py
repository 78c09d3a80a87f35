"""Keep how long the provider says that a generation took, so that the time until its end was seen is known, too."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations import rights

revision: str = "0075"
down_revision: str | None = "0074"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_TOOK = "Milliseconds from its acceptance to its end, as the provider says; NULL: it does not, or it cannot be true"


def upgrade() -> None:
    op.add_column("generation", sa.Column("took_ms", sa.BigInteger(), nullable=True, comment=_TOOK))
    rights.AT_0075.grant()


def downgrade() -> None:
    op.drop_column("generation", "took_ms")
    rights.AT_0074.grant()
