"""Close the books: seals chain the entries of the ledger, and nothing is posted before the last of them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# A snapshot that is older than the last seal would not see it, so the stricter isolation levels cannot post.
_KEEP_CLOSED = """
    CREATE FUNCTION keep_books_closed() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE closed_at timestamptz;
    BEGIN
        IF current_setting('transaction_isolation') <> 'read committed' THEN
            RAISE EXCEPTION 'entries are posted in transactions that are READ COMMITTED, this one is %',
                current_setting('transaction_isolation') USING ERRCODE = 'invalid_transaction_state';
        END IF;
        SELECT sealed_at INTO closed_at FROM seal ORDER BY id DESC LIMIT 1;
        IF NEW.posted_at <= closed_at THEN
            NEW.posted_at := closed_at + interval '1 microsecond';
        END IF;
        RETURN NEW;
    END $$"""

# The application may not change the ledger (see the next migration), and LOCK TABLE asks for the right to.
_LOCK = """
    DO $do$ BEGIN
        EXECUTE format($f$
            CREATE FUNCTION lock_ledger() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
            SET search_path = pg_catalog, pg_temp AS
            'BEGIN LOCK TABLE %I.credit_entry IN SHARE ROW EXCLUSIVE MODE; END'$f$, current_schema());
        REVOKE EXECUTE ON FUNCTION lock_ledger() FROM PUBLIC;
    END $do$"""


def upgrade() -> None:
    op.create_table(
        "seal",
        sa.Column("id", sa.BigInteger(), nullable=False, autoincrement=False, comment="Its place in the chain, from 1"),
        sa.Column(
            "sealed_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="Nothing is posted at or before this instant any more",
        ),
        sa.Column(
            "last_entry_id",
            sa.BigInteger(),
            nullable=False,
            comment="It binds the entries after the last seal, up to this one",
        ),
        sa.Column("entries", sa.BigInteger(), nullable=False, comment="How many it binds"),
        sa.Column("credits", sa.BigInteger(), nullable=False, comment="Their sum"),
        sa.Column(
            "digests",
            sa.LargeBinary(),
            nullable=False,
            comment="Per entry, by id: the id in 8 bytes, and the first 16 bytes of its SHA-256",
        ),
        sa.Column(
            "previous_hash",
            sa.LargeBinary(),
            nullable=False,
            comment="Hash of the seal before it; zeros in the first",
        ),
        sa.Column("hash", sa.LargeBinary(), nullable=False, comment="SHA-256 over all of the above"),
        sa.CheckConstraint(
            "octet_length(hash) = 32 AND octet_length(previous_hash) = 32", name=op.f("ck_seal_hashes_whole")
        ),
        sa.CheckConstraint("octet_length(digests) = 24 * entries", name=op.f("ck_seal_digests_counted")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seal")),
    )
    # Digests cannot be compressed; trying to costs as much as making them.
    op.execute("ALTER TABLE seal ALTER COLUMN digests SET STORAGE EXTERNAL")
    op.create_table(
        "ledger_rollup",
        sa.Column("seal_id", sa.BigInteger(), nullable=False, comment="The seal that binds them"),
        sa.Column("day", sa.Date(), nullable=False, comment="UTC date on which they were posted"),
        sa.Column("batch_id", sa.Uuid(), nullable=False, comment="Whose four accounts they move between"),
        sa.Column("kind", sa.Text(), nullable=False, comment="Why they moved"),
        sa.Column("source", sa.Text(), nullable=False, comment="The account that has less afterwards"),
        sa.Column("target", sa.Text(), nullable=False, comment="The account that has more afterwards"),
        sa.Column("entries", sa.BigInteger(), nullable=False, comment="How many"),
        sa.Column("credits", sa.BigInteger(), nullable=False, comment="Their sum"),
        sa.ForeignKeyConstraint(["seal_id"], ["seal.id"], name=op.f("fk_ledger_rollup_seal_id")),
        sa.PrimaryKeyConstraint(
            "seal_id", "day", "batch_id", "kind", "source", "target", name=op.f("pk_ledger_rollup")
        ),
    )
    for table in ("seal", "ledger_rollup"):
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    op.execute(_KEEP_CLOSED)
    op.execute(
        "CREATE TRIGGER books_closed BEFORE INSERT ON credit_entry FOR EACH ROW EXECUTE FUNCTION keep_books_closed()"
    )
    op.execute(_LOCK)


def downgrade() -> None:
    op.execute("DROP FUNCTION lock_ledger()")
    op.execute("DROP TRIGGER books_closed ON credit_entry")
    op.execute("DROP FUNCTION keep_books_closed()")
    op.drop_table("ledger_rollup")
    op.drop_table("seal")
