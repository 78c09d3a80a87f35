"""Keep the turns of owners, a pace of its own for reads, and of each step its class and when it was last looked at."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0017"
down_revision: str | None = "0016"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("account", _turns("owner_times", "Virtual time per owner, per priority class"))
    op.add_column("account", _turns("read_class_times", "Virtual time per priority class at the pace of reads"))
    op.add_column(
        "account",
        sa.Column("read_rate", sa.Float(), nullable=True, comment="Reads per second; NULL: they share the one pace"),
    )
    op.add_column(
        "account",
        sa.Column("read_rate_setting", sa.Text(), nullable=True, comment="DARKROOM_READ_RATE when it was last applied"),
    )
    op.add_column(
        "account",
        sa.Column(
            "read_next_slot_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="First slot for a read that is not given away",
        ),
    )
    op.create_check_constraint(op.f("ck_account_read_rate_positive"), "account", "read_rate > 0")
    # The release before this one writes steps without a class: they count as bulk, as all did then.
    op.add_column(
        "step",
        sa.Column("priority", sa.Text(), nullable=False, server_default="bulk", comment="The class of its batch"),
    )
    op.execute("UPDATE step SET priority = b.priority FROM job j JOIN batch b ON b.id = j.batch_id WHERE j.id = job_id")
    op.create_check_constraint(op.f("ck_step_priority_known"), "step", "priority IN ('interactive', 'refresh', 'bulk')")
    op.add_column(
        "step",
        sa.Column(
            "looked_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the provider last said that it has not ended; NULL: never",
        ),
    )


def _turns(name: str, comment: str) -> sa.Column[dict[str, object]]:
    kind = postgresql.JSONB(astext_type=sa.Text())
    return sa.Column(name, kind, nullable=False, server_default=sa.text("'{}'::jsonb"), comment=comment)


def downgrade() -> None:
    op.drop_column("step", "looked_at")
    op.drop_constraint(op.f("ck_step_priority_known"), "step", type_="check")
    op.drop_column("step", "priority")
    op.drop_constraint(op.f("ck_account_read_rate_positive"), "account", type_="check")
    for column in ("read_next_slot_at", "read_rate_setting", "read_rate", "read_class_times", "owner_times"):
        op.drop_column("account", column)
