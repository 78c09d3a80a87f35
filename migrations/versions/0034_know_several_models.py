"""Know several models, and what crashes: further references of jobs and items, crashes in a row of steps."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0034"
down_revision: str | None = "0031"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_PENDING = sa.text("state = 'pending'")
_KINDS_BEFORE = "kind IN ('create', 'get', 'upload', 'download', 'credits')"
_KINDS_AFTER = _KINDS_BEFORE.replace("'credits'", "'credits', 'models'")
_PARAMS = "image_size and output_format, defaults filled in"


def upgrade() -> None:
    op.alter_column(
        "job",
        "params",
        existing_type=postgresql.JSONB(),
        existing_nullable=False,
        comment="As the model names them, defaults filled in",
        existing_comment=_PARAMS,
    )
    for table in ("job", "catalog_item"):
        op.add_column(
            table,
            sa.Column(
                "further_references",
                postgresql.ARRAY(sa.Text()),
                nullable=True,
                comment="SHA-256 of those after the first, in their order; NULL: there are none",
            ),
        )

    op.add_column(
        "step",
        sa.Column(
            "crashes", sa.BigInteger(), server_default="0", nullable=False, comment="Crashes of our own code in a row"
        ),
    )
    op.create_index(
        "ix_job_crashed", "job", ["ended_at"], unique=False, postgresql_where=sa.text("failure_code = 'internal_error'")
    )

    _know_models_of_batches()
    _pause_models()


def _know_models_of_batches() -> None:
    op.add_column(
        "batch",
        sa.Column(
            "models",
            postgresql.ARRAY(sa.Text()),
            server_default="{qwen-image}",
            nullable=False,
            comment="The models that its jobs name, each once",
        ),
    )
    # No version before this one could take jobs of another model; a row that was written by hand may have one.
    op.execute("""
        UPDATE batch SET models = ARRAY(SELECT DISTINCT model FROM job WHERE batch_id = batch.id)
        WHERE has_pending AND EXISTS (
            SELECT FROM job WHERE batch_id = batch.id AND state = 'pending' AND model <> 'qwen-image')""")
    op.drop_index("ix_job_pending", table_name="job", postgresql_where=_PENDING)
    op.create_index("ix_job_pending", "job", ["batch_id", "model", "line"], unique=False, postgresql_where=_PENDING)


def _pause_models() -> None:
    op.create_table(
        "model_pause",
        sa.Column("account_id", sa.Uuid(), nullable=False, comment="At whose account"),
        sa.Column("model", sa.Text(), nullable=False, comment="The provider's model id"),
        sa.Column(
            "status", sa.Text(), nullable=False, comment="What the provider's list says: its api_status, or unlisted"
        ),
        sa.Column("message", sa.Text(), nullable=False, comment="The provider's words when it refused the model"),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True, comment="Since when; NULL: it is over"),
        sa.Column(
            "probe_at", sa.DateTime(timezone=True), nullable=True, comment="When the provider's list is read next"
        ),
        sa.Column(
            "probes",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="How often that was done in this pause",
        ),
        sa.Column(
            "resumed_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the last pause ended; NULL: none has",
        ),
        sa.CheckConstraint("(paused_at IS NULL) = (probe_at IS NULL)", name=op.f("ck_model_pause_probed_while_paused")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_model_pause_account_id")),
        sa.PrimaryKeyConstraint("account_id", "model", name=op.f("pk_model_pause")),
    )
    _comment_on_calls(
        "create, get, upload, download, credits or models", "For which paid attempt; NULL: it is about the account"
    )
    _permit_calls(_KINDS_AFTER, "(kind IN ('credits', 'models')) = (generation_id IS NULL)")
    op.execute("SELECT grant_application_rights()")


def _comment_on_calls(kind: str, generation_id: str) -> None:
    op.alter_column("call", "kind", existing_type=sa.Text(), existing_nullable=False, comment=kind)
    op.alter_column("call", "generation_id", existing_type=sa.Uuid(), existing_nullable=True, comment=generation_id)


def _permit_calls(kinds: str, about: str) -> None:
    for name, rule in (("ck_call_kind_known", kinds), ("ck_call_about_a_generation", about)):
        op.drop_constraint(op.f(name), "call", type_="check")
        op.create_check_constraint(op.f(name), "call", rule)


def downgrade() -> None:
    # A version that knows one reference a job would send the first alone: what has more than that may not be lost.
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM job WHERE further_references IS NOT NULL AND state IN ('pending', 'active')) THEN
                RAISE EXCEPTION 'jobs with several references are waiting: let them end, or cancel their batches';
            END IF;
        END $$""")
    # The log of calls is append-only, so that what it says of lists stays: an older version reads it as of the wallet.
    _comment_on_calls(
        "create, get, upload, download or credits", "For which paid attempt; NULL: it was about the wallet"
    )
    op.drop_table("model_pause")
    op.drop_index("ix_job_pending", table_name="job", postgresql_where=_PENDING)
    op.create_index("ix_job_pending", "job", ["batch_id", "line"], unique=False, postgresql_where=_PENDING)
    op.drop_column("batch", "models")
    op.drop_index("ix_job_crashed", table_name="job", postgresql_where=sa.text("failure_code = 'internal_error'"))
    op.drop_column("step", "crashes")
    for table in ("job", "catalog_item"):
        op.drop_column(table, "further_references")
    op.alter_column("job", "params", existing_type=postgresql.JSONB(), existing_nullable=False, comment=_PARAMS)
