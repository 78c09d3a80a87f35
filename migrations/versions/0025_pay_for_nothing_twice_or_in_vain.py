"""Pay for nothing twice or in vain: remember whose key is used, what was asked for again, and when an image came."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0025"
down_revision: str | None = "0024"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_BEFORE = (
    "pause_reason IN ('insufficient_credits', 'api_key_missing', 'api_key_invalid', 'api_key_revoked',"
    " 'api_key_expired', 'api_scope_denied', 'public_api_disabled', 'unauthorized', 'operator')"
)
_AFTER = _BEFORE.replace("'operator'", "'results_unreachable', 'operator'")


def upgrade() -> None:
    op.add_column(
        "account",
        sa.Column(
            "collected_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When an image was last brought home, to a minute; NULL: never",
        ),
    )
    op.drop_constraint(op.f("ck_account_pause_reason_known"), "account", type_="check")
    op.create_check_constraint(op.f("ck_account_pause_reason_known"), "account", _AFTER)
    op.add_column(
        "account",
        sa.Column(
            "key_mark", sa.Text(), nullable=True, comment="Salt and scrypt hash of the key it was last used with"
        ),
    )
    op.add_column(
        "account",
        sa.Column(
            "binding",
            sa.BigInteger(),
            server_default="1",
            nullable=False,
            comment="Goes up when it is used with another account at a provider",
        ),
    )
    op.add_column(
        "account",
        sa.Column(
            "bound_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When that last happened; NULL: never",
        ),
    )
    op.add_column(
        "generation",
        sa.Column(
            "binding",
            sa.BigInteger(),
            nullable=True,
            comment="Of its account when it was last begun to be sent",
        ),
    )
    op.add_column(
        "generation",
        sa.Column(
            "recalls",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="How often its image was asked for once more after the job had failed",
        ),
    )
    op.add_column(
        "step", sa.Column("error", sa.Text(), nullable=True, comment="What went wrong at the last of those tries")
    )


def downgrade() -> None:
    op.drop_column("step", "error")
    op.execute("UPDATE account SET pause_reason = 'operator' WHERE pause_reason = 'results_unreachable'")
    op.drop_constraint(op.f("ck_account_pause_reason_known"), "account", type_="check")
    op.create_check_constraint(op.f("ck_account_pause_reason_known"), "account", _BEFORE)
    op.drop_column("account", "collected_at")
    op.drop_column("generation", "recalls")
    op.drop_column("generation", "binding")
    op.drop_column("account", "bound_at")
    op.drop_column("account", "binding")
    op.drop_column("account", "key_mark")
