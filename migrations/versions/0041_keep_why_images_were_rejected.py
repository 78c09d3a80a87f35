"""Keep every rejection of an image with its reason, also when it is taken back."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0041"
down_revision: str | None = "0040"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# What was rejected before this had neither a reason nor a history; the image's own id serves as the row's.
_CARRY_OVER = """
    INSERT INTO catalog_rejection (id, item_id, render_id, at, said_at, actor)
    SELECT id, item_id, id, decided_at, decided_at, decided_by FROM catalog_render
    WHERE state = 'rejected' AND decided_at IS NOT NULL AND decided_by IS NOT NULL"""

_APPEND_ONLY = """
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON catalog_rejection
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"""


def upgrade() -> None:
    op.create_table(
        "catalog_rejection",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7"),
        sa.Column("item_id", sa.Uuid(), nullable=False, comment="Of which item"),
        sa.Column("render_id", sa.Uuid(), nullable=False, comment="Which image"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, comment="When it took effect"),
        sa.Column(
            "said_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When its file of decisions was saved; only what was said later takes it back",
        ),
        sa.Column("actor", sa.Text(), nullable=False, comment="Who rejected it"),
        sa.Column("reason", sa.Text(), nullable=True, comment="Why; NULL: no reason was given"),
        sa.Column("prompt", sa.Text(), nullable=True, comment="The reviewer's own prompt for the next try, if any"),
        sa.CheckConstraint("char_length(reason) BETWEEN 1 AND 1000", name=op.f("ck_catalog_rejection_reason_bounded")),
        sa.ForeignKeyConstraint(["item_id"], ["catalog_item.id"], name=op.f("fk_catalog_rejection_item_id")),
        sa.ForeignKeyConstraint(["render_id"], ["catalog_render.id"], name=op.f("fk_catalog_rejection_render_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_rejection")),
    )
    op.create_index("ix_catalog_rejection_item", "catalog_rejection", ["item_id", "at"], unique=False)
    op.create_index("ix_catalog_rejection_render", "catalog_rejection", ["render_id"], unique=False)
    op.execute(_CARRY_OVER)
    op.execute(_APPEND_ONLY)
    op.execute("SELECT grant_application_rights()")


def downgrade() -> None:
    op.drop_index("ix_catalog_rejection_render", table_name="catalog_rejection")
    op.drop_index("ix_catalog_rejection_item", table_name="catalog_rejection")
    op.drop_table("catalog_rejection")
