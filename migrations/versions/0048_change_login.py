"""Keep which login wrote each change: the author is what the writer says, the login is what the server knows."""

from collections.abc import Sequence

from alembic import op

revision: str = "0048"
down_revision: str | None = "0047"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_GUARDS = (
    "keep_books_closed",
    "record_after_seal",
    "date_after_seal",
    "date_generation",
    "date_generation_reading",
    "date_job",
    "refuse_seal_ahead",
    "refuse_change",
)


def upgrade() -> None:
    op.execute("ALTER TABLE change ADD COLUMN login text")
    op.execute("ALTER TABLE change ALTER COLUMN login SET DEFAULT session_user")
    op.execute(
        "COMMENT ON COLUMN change.login IS"
        " 'Which user of the database wrote it; NULL: it was written before that was recorded'"
    )
    # Whoever creates a temporary table named `seal` must not have these read it in the place of ours.
    for name in _GUARDS:
        op.execute(
            f"DO $$ BEGIN EXECUTE 'ALTER FUNCTION {name}() SET search_path = '"
            " || quote_ident(current_schema()) || ', pg_temp'; END $$"
        )


def downgrade() -> None:
    for name in _GUARDS:
        op.execute(f"ALTER FUNCTION {name}() RESET search_path")
    op.execute("ALTER TABLE change DROP COLUMN login")
