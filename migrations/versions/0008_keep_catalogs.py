"""Keep catalogs: items, plans, and every image that was made of each."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_APPEND_ONLY = """
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON catalog_live
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"""


def upgrade() -> None:
    op.create_table(
        "catalog",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7"),
        sa.Column("name", sa.Text(), nullable=False, comment="What people call it"),
        sa.Column(
            "recipe",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="Template, model, params and the rest, as it was parsed",
        ),
        sa.Column("recipe_hash", sa.Text(), nullable=False, comment="SHA-256 over the recipe"),
        sa.Column(
            "review", sa.Text(), nullable=False, comment="none or required: whether new images wait for a person"
        ),
        sa.Column(
            "credit_cap", sa.BigInteger(), nullable=True, comment="Credits that one plan may commit; NULL: no cap"
        ),
        sa.Column(
            "approve_above_credits",
            sa.BigInteger(),
            nullable=True,
            comment="A plan of a higher price needs an approval; NULL: none does",
        ),
        sa.Column(
            "approve_above_share",
            sa.Double(),
            nullable=True,
            comment="A plan that renders a larger share of the items needs an approval; NULL: none does",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="When it was first imported"),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, comment="When it was last imported"),
        sa.CheckConstraint("review IN ('none', 'required')", name=op.f("ck_catalog_review_known")),
        sa.CheckConstraint("approve_above_credits >= 0", name=op.f("ck_catalog_credits_not_negative")),
        sa.CheckConstraint("approve_above_share BETWEEN 0 AND 1", name=op.f("ck_catalog_share_is_one")),
        sa.CheckConstraint("credit_cap >= 0", name=op.f("ck_catalog_cap_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog")),
        sa.UniqueConstraint("name", name=op.f("uq_catalog_name")),
    )
    op.create_table(
        "catalog_item",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7"),
        sa.Column("catalog_id", sa.Uuid(), nullable=False, comment="Where it belongs"),
        sa.Column("sku", sa.Text(), nullable=False, comment="The caller's own name for it, unique in the catalog"),
        sa.Column(
            "fields",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="The columns that the template may name",
        ),
        sa.Column("reference_hash", sa.Text(), nullable=True, comment="SHA-256 of its reference image, if any"),
        sa.Column("position", sa.BigInteger(), nullable=False, comment="Its place in the last import, from 1"),
        sa.Column("edited_prompt", sa.Text(), nullable=True, comment="A reviewer's own prompt instead of the recipe's"),
        sa.Column(
            "edited_from",
            sa.Text(),
            nullable=True,
            comment="The recipe's prompt that it replaces, for as long as the recipe gives that one",
        ),
        sa.Column(
            "rejected_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When its last image was rejected; NULL again once a plan renders it",
        ),
        sa.Column(
            "kept_fingerprint",
            sa.Text(),
            nullable=True,
            comment="Content for which a person brought an older image back: it is not rendered again for that",
        ),
        sa.Column("live_render_id", sa.Uuid(), nullable=True, comment="The image that is live, if any"),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False, comment="When it was first imported"),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False, comment="When an import last changed it"),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True, comment="When an import no longer had it"),
        sa.ForeignKeyConstraint(["catalog_id"], ["catalog.id"], name=op.f("fk_catalog_item_catalog_id")),
        sa.ForeignKeyConstraint(["reference_hash"], ["reference.sha256"], name=op.f("fk_catalog_item_reference_hash")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_item")),
    )
    op.create_index("uq_catalog_item_catalog_sku", "catalog_item", ["catalog_id", "sku"], unique=True)
    op.create_table(
        "catalog_plan",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7; the token of its batch"),
        sa.Column("catalog_id", sa.Uuid(), nullable=False, comment="Whose items"),
        sa.Column(
            "content_hash",
            sa.Text(),
            nullable=False,
            comment="SHA-256 over every item's content and what is to happen to it",
        ),
        sa.Column(
            "document",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="Its options, and each item to render with the reasons",
        ),
        sa.Column(
            "price", sa.BigInteger(), nullable=False, comment="Credits for one generation of each item to render"
        ),
        sa.Column(
            "counts", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="How many items for each reason"
        ),
        sa.Column(
            "needs_approval", sa.Boolean(), nullable=False, comment="Whether it was above a threshold of its catalog"
        ),
        sa.Column(
            "sample", sa.BigInteger(), nullable=True, comment="So many items are rendered first; NULL: all at once"
        ),
        sa.Column("made_by", sa.Text(), nullable=False, comment="Who made it"),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False, comment="When; ages are counted up to here"),
        sa.Column("approved_by", sa.Text(), nullable=True, comment="Who agreed"),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True, comment="When"),
        sa.Column("sampled_at", sa.DateTime(timezone=True), nullable=True, comment="When its sample became a batch"),
        sa.Column("sample_batch_id", sa.Uuid(), nullable=True, comment="The batch of its sample"),
        sa.Column(
            "applied_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it became a batch, or had nothing to render",
        ),
        sa.Column(
            "batch_id",
            sa.Uuid(),
            nullable=True,
            comment="The batch that it became; NULL also when there was nothing to render",
        ),
        sa.CheckConstraint(
            "(approved_by IS NULL) = (approved_at IS NULL)", name=op.f("ck_catalog_plan_approval_whole")
        ),
        sa.CheckConstraint(
            "NOT needs_approval OR approved_by <> made_by", name=op.f("ck_catalog_plan_approved_by_another")
        ),
        sa.CheckConstraint("price >= 0", name=op.f("ck_catalog_plan_price_not_negative")),
        sa.CheckConstraint("sample > 0", name=op.f("ck_catalog_plan_sample_positive")),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_catalog_plan_batch_id")),
        sa.ForeignKeyConstraint(["catalog_id"], ["catalog.id"], name=op.f("fk_catalog_plan_catalog_id")),
        sa.ForeignKeyConstraint(["sample_batch_id"], ["batch.id"], name=op.f("fk_catalog_plan_sample_batch_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_plan")),
    )
    op.create_index("ix_catalog_plan_catalog", "catalog_plan", ["catalog_id", "made_at"], unique=False)
    op.create_table(
        "catalog_render",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7"),
        sa.Column("item_id", sa.Uuid(), nullable=False, comment="What it shows"),
        sa.Column("plan_id", sa.Uuid(), nullable=False, comment="Which plan asked for it"),
        sa.Column("job_id", sa.Uuid(), nullable=False, comment="The job that makes it"),
        sa.Column(
            "fingerprint",
            sa.Text(),
            nullable=False,
            comment="SHA-256 over all that decides the image, as the job has it",
        ),
        sa.Column(
            "parts",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="What was hashed: prompt, params, model, reference",
        ),
        sa.Column(
            "needs_review", sa.Boolean(), nullable=False, comment="Whether it waits for a person before it goes live"
        ),
        sa.Column(
            "state", sa.Text(), nullable=False, comment="planned, candidate, live, rejected, superseded or failed"
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="When its plan was applied"),
        sa.Column("rendered_at", sa.DateTime(timezone=True), nullable=True, comment="When its job ended"),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True, comment="When it went live or was rejected"),
        sa.Column("decided_by", sa.Text(), nullable=True, comment="Who decided that"),
        sa.CheckConstraint(
            "state IN ('planned', 'candidate', 'live', 'rejected', 'superseded', 'failed')",
            name=op.f("ck_catalog_render_state_known"),
        ),
        sa.ForeignKeyConstraint(["item_id"], ["catalog_item.id"], name=op.f("fk_catalog_render_item_id")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_catalog_render_job_id")),
        sa.ForeignKeyConstraint(["plan_id"], ["catalog_plan.id"], name=op.f("fk_catalog_render_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_render")),
        sa.UniqueConstraint("job_id", name=op.f("uq_catalog_render_job_id")),
    )
    op.create_index("ix_catalog_render_item", "catalog_render", ["item_id", "created_at"], unique=False)
    op.create_index("ix_catalog_render_plan", "catalog_render", ["plan_id"], unique=False)
    op.create_index(
        "ix_catalog_render_unsettled",
        "catalog_render",
        ["job_id"],
        unique=False,
        postgresql_where=sa.text("state IN ('planned', 'failed')"),
    )
    op.create_index(
        "uq_catalog_render_open",
        "catalog_render",
        ["item_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('planned', 'candidate', 'failed')"),
    )
    op.create_table(
        "catalog_live",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7"),
        sa.Column("item_id", sa.Uuid(), nullable=False, comment="Of which item"),
        sa.Column("render_id", sa.Uuid(), nullable=False, comment="Which image"),
        sa.Column(
            "from_at", sa.DateTime(timezone=True), nullable=False, comment="Since when; until the next row of the item"
        ),
        sa.Column("actor", sa.Text(), nullable=False, comment="Who decided it"),
        sa.Column(
            "reason", sa.Text(), nullable=False, comment="accepted, no review, or why an older one was brought back"
        ),
        sa.ForeignKeyConstraint(["item_id"], ["catalog_item.id"], name=op.f("fk_catalog_live_item_id")),
        sa.ForeignKeyConstraint(["render_id"], ["catalog_render.id"], name=op.f("fk_catalog_live_render_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_live")),
    )
    op.create_index("ix_catalog_live_item", "catalog_live", ["item_id", "from_at"], unique=False)
    op.create_foreign_key(
        "fk_catalog_item_live_render_id", "catalog_item", "catalog_render", ["live_render_id"], ["id"]
    )
    op.execute(_APPEND_ONLY)


def downgrade() -> None:
    op.drop_constraint("fk_catalog_item_live_render_id", "catalog_item", type_="foreignkey")
    op.drop_index("ix_catalog_live_item", table_name="catalog_live")
    op.drop_table("catalog_live")
    op.drop_index("uq_catalog_render_open", table_name="catalog_render")
    op.drop_index("ix_catalog_render_unsettled", table_name="catalog_render")
    op.drop_index("ix_catalog_render_plan", table_name="catalog_render")
    op.drop_index("ix_catalog_render_item", table_name="catalog_render")
    op.drop_table("catalog_render")
    op.drop_index("ix_catalog_plan_catalog", table_name="catalog_plan")
    op.drop_table("catalog_plan")
    op.drop_index("uq_catalog_item_catalog_sku", table_name="catalog_item")
    op.drop_table("catalog_item")
    op.drop_table("catalog")
