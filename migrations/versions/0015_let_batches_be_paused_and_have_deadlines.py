"""Let batches be paused, and be over by a deadline that upkeep looks after."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0015"
down_revision: str | None = "0014"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_STATES_BEFORE = "open, cancelled or refused"
_STATES_AFTER = "open, paused, cancelled or refused"
_KINDS_BEFORE = "wallet, seal, reread, harvest, schedule or hooks"
_KINDS_AFTER = "wallet, seal, reread, deadlines, harvest, schedule or hooks"


def upgrade() -> None:
    op.add_column(
        "batch",
        sa.Column(
            "deadline_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When what has not ended is ended; NULL: never",
        ),
    )
    op.create_index(
        "ix_batch_deadline",
        "batch",
        ["account_id", "deadline_at"],
        unique=False,
        postgresql_where=sa.text("has_pending"),
    )
    _permit_states("'open', 'paused', 'cancelled', 'refused'")
    op.alter_column("batch", "state", existing_type=sa.Text(), comment=_STATES_AFTER, existing_comment=_STATES_BEFORE)
    _permit_kinds("'wallet', 'seal', 'reread', 'deadlines', 'harvest', 'schedule', 'hooks'")
    op.alter_column("upkeep", "kind", existing_type=sa.Text(), comment=_KINDS_AFTER, existing_comment=_KINDS_BEFORE)


def downgrade() -> None:
    op.alter_column("upkeep", "kind", existing_type=sa.Text(), comment=_KINDS_BEFORE, existing_comment=_KINDS_AFTER)
    op.execute("DELETE FROM upkeep WHERE kind = 'deadlines'")
    _permit_kinds("'wallet', 'seal', 'reread', 'harvest', 'schedule', 'hooks'")
    op.alter_column("batch", "state", existing_type=sa.Text(), comment=_STATES_BEFORE, existing_comment=_STATES_AFTER)
    # The release before has no such state. Their caps hold them back instead, so that nothing is spent unasked.
    op.execute("UPDATE batch SET state = 'open', has_pending = true, credit_cap = committed WHERE state = 'paused'")
    _permit_states("'open', 'cancelled', 'refused'")
    op.drop_index("ix_batch_deadline", table_name="batch", postgresql_where=sa.text("has_pending"))
    op.drop_column("batch", "deadline_at")


def _permit_states(states: str) -> None:
    op.drop_constraint(op.f("ck_batch_state_known"), "batch", type_="check")
    op.create_check_constraint(op.f("ck_batch_state_known"), "batch", f"state IN ({states})")


def _permit_kinds(kinds: str) -> None:
    op.drop_constraint(op.f("ck_upkeep_kind_known"), "upkeep", type_="check")
    op.create_check_constraint(op.f("ck_upkeep_kind_known"), "upkeep", f"kind IN ({kinds})")
