"""Keep a row of each living node, and let nothing be dated later than the server's own clock.

A node of an earlier release takes its instants from its own wall clock, which may be a day ahead. What it writes is
dated by the server then, so that nothing that was paid for goes unrecorded; only a seal, whose instant is part of its
hash, is refused.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0028"
down_revision: str | None = "0026"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# Clocks that are kept in step differ by milliseconds; a correct node's instant is never touched.
_IS_LATE = "> clock_timestamp() + interval '5 seconds'"

_KEEP_CLOSED = """
    CREATE OR REPLACE FUNCTION keep_books_closed() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE closed_at timestamptz;
    BEGIN
        IF current_setting('transaction_isolation') <> 'read committed' THEN
            RAISE EXCEPTION 'entries are posted in transactions that are READ COMMITTED, this one is %',
                current_setting('transaction_isolation') USING ERRCODE = 'invalid_transaction_state';
        END IF;{date}
        SELECT sealed_at INTO closed_at FROM seal ORDER BY id DESC LIMIT 1;
        IF NEW.posted_at <= closed_at THEN
            NEW.posted_at := closed_at + interval '1 microsecond';
        END IF;
        RETURN NEW;
    END $$"""

_RECORD = """
    CREATE OR REPLACE FUNCTION record_after_seal() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE closed_at timestamptz;
    BEGIN{date}
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

_DATE_CHANGE = """
    CREATE OR REPLACE FUNCTION date_after_seal() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE closed_at timestamptz;
    BEGIN{date}
        PERFORM pg_advisory_xact_lock_shared(7041776402155231113);
        SELECT sealed_at INTO closed_at FROM seal ORDER BY id DESC LIMIT 1;
        IF NEW.changed_at <= closed_at THEN
            NEW.changed_at := closed_at + interval '1 microsecond';
        END IF;
        RETURN NEW;
    END $$"""

_DATE = """
    CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN{date}
        RETURN NEW;
    END $$"""

# A seal may be as late as what it binds, and as the seal before it: both may have been dated before there was a guard.
_REFUSE_SEAL = """
    CREATE FUNCTION refuse_seal_ahead() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE before record;
    BEGIN
        IF NEW.sealed_at > clock_timestamp() + interval '5 seconds' THEN
            SELECT sealed_at, last_entry_id INTO before FROM seal ORDER BY id DESC LIMIT 1;
            IF NEW.sealed_at > greatest('-infinity', before.sealed_at, (
                    SELECT max(posted_at) FROM credit_entry
                    WHERE id > coalesce(before.last_entry_id, -1) AND id <= NEW.last_entry_id)) THEN
                RAISE EXCEPTION 'the books cannot be closed up to %, which is later than now: set the clock of the'
                    ' machine that asks (NTP)', NEW.sealed_at USING ERRCODE = 'datetime_field_overflow';
            END IF;
        END IF;
        RETURN NEW;
    END $$"""

_DATED = {
    "generation": ("INSERT OR UPDATE", ("admitted_at", "first_sent_at", "last_sent_at", "accepted_at", "ended_at")),
    "job": ("UPDATE", ("ended_at",)),
    "generation_reading": ("INSERT", ("read_at",)),
}
"""When a row of each table is looked at, and which instants of it."""


def _dated(*columns: str) -> str:
    return "".join(
        f"""
            IF NEW.{name} {_IS_LATE} THEN NEW.{name} := clock_timestamp(); END IF;"""
        for name in columns
    )


def _dated_by_table() -> str:
    return f"""
        IF TG_TABLE_NAME = 'call' THEN{_dated("started_at", "ended_at")}
        ELSIF TG_TABLE_NAME = 'result' THEN{_dated("stored_at")}
        ELSE{_dated("read_at")}
        END IF;"""


def _guard() -> None:
    op.execute(_KEEP_CLOSED.format(date=_dated("posted_at")))
    op.execute(_RECORD.format(date=_dated_by_table()))
    op.execute(_DATE_CHANGE.format(date=_dated("changed_at")))
    op.execute(_REFUSE_SEAL)
    for table, (events, columns) in _DATED.items():
        op.execute(_DATE.format(function=f"date_{table}", date=_dated(*columns)))
        op.execute(f"CREATE TRIGGER dated BEFORE {events} ON {table} FOR EACH ROW EXECUTE FUNCTION date_{table}()")
    op.execute("CREATE TRIGGER not_ahead BEFORE INSERT ON seal FOR EACH ROW EXECUTE FUNCTION refuse_seal_ahead()")


def _unguard() -> None:
    op.execute("DROP TRIGGER not_ahead ON seal")
    op.execute("DROP FUNCTION refuse_seal_ahead()")
    for table in _DATED:
        op.execute(f"DROP TRIGGER dated ON {table}")
        op.execute(f"DROP FUNCTION date_{table}()")
    for function in (_KEEP_CLOSED, _RECORD, _DATE_CHANGE):
        op.execute(function.format(date=""))


def upgrade() -> None:
    op.create_table(
        "node",
        sa.Column("id", sa.Uuid(), nullable=False, comment="Of the process; a restart is another node"),
        sa.Column("name", sa.Text(), nullable=False, comment="Host and process id"),
        sa.Column(
            "started_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When its dispatcher first wrote this row",
        ),
        sa.Column(
            "seen_at", sa.DateTime(timezone=True), nullable=False, comment="When its dispatcher last wrote this row"
        ),
        sa.Column(
            "last_round_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When its dispatcher last completed a round; NULL: not yet",
        ),
        sa.Column(
            "clock_offset_s", sa.Float(), nullable=False, comment="Its wall clock minus the server's, in seconds"
        ),
        sa.Column("version", sa.Text(), nullable=False, comment="Of the package that it runs"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_node")),
    )
    _guard()
    op.execute("SELECT grant_application_rights()")


def downgrade() -> None:
    _unguard()
    op.drop_table("node")
