"""Know the store of an account by its identity, and in what an image is not as ordered."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0031"
down_revision: str | None = "0028"
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
    op.add_column(
        "result",
        sa.Column(
            "frames", sa.BigInteger(), server_default="1", nullable=False, comment="More than one: it is animated"
        ),
    )
    op.add_column(
        "result",
        sa.Column(
            "not_as_ordered",
            sa.ARRAY(sa.Text()),
            server_default=sa.text("'{}'::text[]"),
            nullable=False,
            comment="Any of format, size and animated",
        ),
    )
    op.create_index("ix_result_odd", "result", ["job_id"], postgresql_where=sa.text("not_as_ordered <> '{}'::text[]"))
    op.add_column(
        "generation",
        sa.Column(
            "unreadable_sha256",
            sa.Text(),
            nullable=True,
            comment="Of the last file in its image's place that is none",
        ),
    )
    op.add_column(
        "generation",
        sa.Column(
            "unreadable_times",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="How often that file came in a row",
        ),
    )
    op.add_column(
        "batch",
        sa.Column(
            "size_policy",
            sa.Text(),
            server_default="flag",
            nullable=False,
            comment="Images of another size: accept, flag or refuse-to-publish",
        ),
    )
    op.create_check_constraint(
        op.f("ck_batch_size_policy_known"), "batch", "size_policy IN ('accept', 'flag', 'refuse-to-publish')"
    )
    _permit_kinds(f"{_KINDS}, 'store'")
    op.alter_column("upkeep", "kind", existing_type=sa.Text(), comment=_COMMENT_AFTER, existing_comment=_COMMENT)


def downgrade() -> None:
    op.alter_column("upkeep", "kind", existing_type=sa.Text(), comment=_COMMENT, existing_comment=_COMMENT_AFTER)
    op.execute("DELETE FROM upkeep WHERE kind = 'store'")
    _permit_kinds(_KINDS)
    op.drop_constraint(op.f("ck_batch_size_policy_known"), "batch", type_="check")
    op.drop_column("batch", "size_policy")
    op.drop_column("generation", "unreadable_times")
    op.drop_column("generation", "unreadable_sha256")
    op.drop_index("ix_result_odd", table_name="result", postgresql_where=sa.text("not_as_ordered <> '{}'::text[]"))
    op.drop_column("result", "not_as_ordered")
    op.drop_column("result", "frames")
    op.drop_column("account", "store_failed_at")
    op.drop_column("account", "store_place")
    op.drop_column("account", "store_id")


def _permit_kinds(kinds: str) -> None:
    op.drop_constraint(op.f("ck_upkeep_kind_known"), "upkeep", type_="check")
    op.create_check_constraint(op.f("ck_upkeep_kind_known"), "upkeep", f"kind IN ({kinds})")
