"""Keep what refused creates say of the provider, apart from what failed generations say."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0044"
down_revision: str | None = "0043"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column(
        "provider_health",
        sa.Column(
            "create_usual",
            sa.Float(),
            server_default="0.05",
            nullable=False,
            comment="Share of prompts whose creates are refused while the provider is well",
        ),
    )
    op.add_column(
        "provider_health",
        sa.Column(
            "create_score",
            sa.Float(),
            server_default="0",
            nullable=False,
            comment="Of the CUSUM over creates; 0: nothing against the provider",
        ),
    )
    op.add_column(
        "provider_health",
        sa.Column(
            "create_began_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the first create was refused; NULL: the score of creates is zero",
        ),
    )
    op.add_column(
        "provider_health",
        sa.Column(
            "create_failed",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="Different prompts whose creates were refused since then",
        ),
    )
    op.add_column(
        "provider_health",
        sa.Column(
            "create_succeeded",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="Creates that were accepted since then",
        ),
    )
    op.create_check_constraint(
        op.f("ck_provider_health_creates_counted"),
        "provider_health",
        "create_usual BETWEEN 0 AND 1 AND create_score >= 0 AND create_failed >= 0 AND create_succeeded >= 0",
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_provider_health_creates_counted"), "provider_health")
    for name in ("create_succeeded", "create_failed", "create_began_at", "create_score", "create_usual"):
        op.drop_column("provider_health", name)
