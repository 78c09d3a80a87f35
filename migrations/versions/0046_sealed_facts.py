"""Seal what reports show beside the ledger: digests of closed periods, chained to each other and into the seals."""

from collections.abc import Sequence

from alembic import op

revision: str = "0046"
down_revision: str | None = "0045"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_COMMENTS = {
    "seal_fact.seal_id": "The seal up to whose instant and last entry it binds them",
    "seal_fact.digests": "A line per kind of fact: its name, how many rows, and the SHA-256 over those of the rows",
    "seal_fact.previous_hash": "Hash of the one before it; zeros in the first",
    "seal_fact.hash": "SHA-256 over all of the above and the hash of the seal",
    "seal.facts_hash": "Hash of the newest facts that were sealed before it; NULL: there were none",
}
_DATED = ("call", "result", "wallet_reading")

# As `date_after_seal` of migration 0044: what is read before the seal is committed is dated after it.
_DATE_READING = """
CREATE OR REPLACE FUNCTION date_generation_reading() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    DECLARE closed_at timestamptz;
    BEGIN
        IF NEW.read_at > clock_timestamp() + interval '5 seconds' THEN NEW.read_at := clock_timestamp(); END IF;
        PERFORM pg_advisory_xact_lock_shared(7041776402155231113);
        SELECT sealed_at INTO closed_at FROM seal ORDER BY id DESC LIMIT 1;
        IF NEW.read_at <= closed_at THEN
            NEW.read_at := closed_at + interval '1 microsecond';
        END IF;
        RETURN NEW;
    END $$
"""
_DATE_READING_BEFORE = """
CREATE OR REPLACE FUNCTION date_generation_reading() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    BEGIN
            IF NEW.read_at > clock_timestamp() + interval '5 seconds' THEN NEW.read_at := clock_timestamp(); END IF;
        RETURN NEW;
    END $$
"""


def upgrade() -> None:
    op.execute("""
        CREATE TABLE seal_fact (
            seal_id bigint NOT NULL,
            digests text NOT NULL,
            previous_hash bytea NOT NULL,
            hash bytea NOT NULL,
            CONSTRAINT pk_seal_fact PRIMARY KEY (seal_id),
            CONSTRAINT fk_seal_fact_seal_id FOREIGN KEY (seal_id) REFERENCES seal(id),
            CONSTRAINT ck_seal_fact_hashes_whole CHECK ((octet_length(hash) = 32)
                AND (octet_length(previous_hash) = 32))
        )""")
    op.execute("ALTER TABLE seal ADD COLUMN facts_hash bytea")
    for column, comment in _COMMENTS.items():
        op.execute(f"COMMENT ON COLUMN {column} IS '{comment}'")
    op.execute(
        "CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON seal_fact"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    # The rows of a period lie together: such an index has a line per 128 pages, and writing a row does not touch it.
    for table in _DATED:
        op.execute(f"CREATE INDEX ix_{table}_recorded ON {table} USING brin (recorded_at)")
    op.execute("CREATE INDEX ix_generation_reading_read ON generation_reading USING brin (read_at)")
    op.execute("CREATE INDEX ix_change_changed ON change (changed_at)")
    op.execute(_DATE_READING)


def downgrade() -> None:
    op.execute(_DATE_READING_BEFORE)
    op.execute("DROP INDEX ix_change_changed")
    op.execute("DROP INDEX ix_generation_reading_read")
    for table in _DATED:
        op.execute(f"DROP INDEX ix_{table}_recorded")
    op.execute("ALTER TABLE seal DROP COLUMN facts_hash")
    op.execute("DROP TABLE seal_fact")
