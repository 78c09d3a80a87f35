"""Date changes by persons after the last seal, so that a report of a sealed instant never grows."""

from collections.abc import Sequence

from alembic import op

revision: str = "0024"
down_revision: str | None = "0023"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# The lock is the one of migration 0013: whoever prints a report waits for who was writing under an older seal.
_DATE = """
    CREATE FUNCTION date_after_seal() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE closed_at timestamptz;
    BEGIN
        PERFORM pg_advisory_xact_lock_shared(7041776402155231113);
        SELECT sealed_at INTO closed_at FROM seal ORDER BY id DESC LIMIT 1;
        IF NEW.changed_at <= closed_at THEN
            NEW.changed_at := closed_at + interval '1 microsecond';
        END IF;
        RETURN NEW;
    END $$"""


def upgrade() -> None:
    op.execute(_DATE)
    op.execute("CREATE TRIGGER recorded BEFORE INSERT ON change FOR EACH ROW EXECUTE FUNCTION date_after_seal()")


def downgrade() -> None:
    op.execute("DROP TRIGGER recorded ON change")
    op.execute("DROP FUNCTION date_after_seal()")
