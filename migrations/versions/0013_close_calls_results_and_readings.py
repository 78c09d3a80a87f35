"""Date calls, results and wallet readings after the last seal, so that a report of a sealed instant never grows."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# Whoever prints a report takes the lock alone for a moment, after the seal: what was written under an older seal is
# committed then, and whoever writes later sees the new one. Nobody waits for a table, so that nobody waits in a circle.
_RECORD = """
    CREATE FUNCTION record_after_seal() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE closed_at timestamptz;
    BEGIN
        PERFORM pg_advisory_xact_lock_shared(7041776402155231113);
        SELECT sealed_at INTO closed_at FROM seal ORDER BY id DESC LIMIT 1;
        IF TG_TABLE_NAME = 'call' THEN
            NEW.recorded_at := greatest(NEW.started_at, NEW.ended_at);
        ELSIF TG_TABLE_NAME = 'result' THEN
            NEW.recorded_at := NEW.stored_at;
        ELSE
            NEW.recorded_at := NEW.read_at;
        END IF;
        IF NEW.recorded_at <= closed_at THEN
            NEW.recorded_at := closed_at + interval '1 microsecond';
        END IF;
        RETURN NEW;
    END $$"""

_TIMES = {"call": "greatest(started_at, ended_at)", "result": "stored_at", "wallet_reading": "read_at"}


def upgrade() -> None:
    op.execute(_RECORD)
    op.execute("ALTER TABLE call DISABLE TRIGGER append_only")
    for table, time in _TIMES.items():
        op.add_column(
            table,
            sa.Column(
                "recorded_at",
                sa.DateTime(timezone=True),
                nullable=True,
                comment="Its time, or right after the last seal if that is later",
            ),
        )
        op.execute(f"UPDATE {table} SET recorded_at = {time}")  # noqa: S608 - constants of this module
        op.alter_column(table, "recorded_at", nullable=False)
        op.execute(
            f"CREATE TRIGGER recorded BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION record_after_seal()"
        )
    op.execute("ALTER TABLE call ENABLE TRIGGER append_only")


def downgrade() -> None:
    for table in _TIMES:
        op.execute(f"DROP TRIGGER recorded ON {table}")
        op.drop_column(table, "recorded_at")
    op.execute("DROP FUNCTION record_after_seal()")
