"""Keep what was archived, and let sealed rows of archived batches be removed from the tables, and no others.

Until now nothing removed an entry, a call or a reading. A trigger for each row takes the place of the one for the whole
statement: it refuses every removal but that of a row which a seal binds and whose batch is archived. An index finds the
entries of a generation, without which each removed generation would read all entries to check the foreign key.
"""

from collections.abc import Sequence

from migrations import rights, scripts

revision: str = "0073"
down_revision: str | None = "0072"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_TABLES = """
CREATE TABLE archived_batch (
    batch_id uuid NOT NULL,
    store_id uuid,
    jobs jsonb NOT NULL,
    spent bigint NOT NULL,
    entries bigint NOT NULL,
    last_entry_id bigint,
    last_posted_at timestamptz,
    sealed_until timestamptz,
    archived_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    login text DEFAULT SESSION_USER NOT NULL,
    removed_at timestamptz,
    CONSTRAINT pk_archived_batch PRIMARY KEY (batch_id),
    CONSTRAINT fk_archived_batch_batch_id FOREIGN KEY (batch_id) REFERENCES batch (id)
);
CREATE INDEX ix_archived_batch_unremoved ON archived_batch (batch_id) WHERE removed_at IS NULL;
CREATE TABLE archived_file (
    batch_id uuid NOT NULL,
    part smallint NOT NULL,
    name text NOT NULL,
    path text NOT NULL,
    sha256 text NOT NULL,
    size_bytes bigint NOT NULL,
    rows bigint NOT NULL,
    rows_sha256 text NOT NULL,
    first_job_id uuid NOT NULL,
    last_job_id uuid NOT NULL,
    CONSTRAINT pk_archived_file PRIMARY KEY (batch_id, part, name),
    CONSTRAINT fk_archived_file_batch_id FOREIGN KEY (batch_id) REFERENCES archived_batch (batch_id),
    CONSTRAINT ck_archived_file_not_empty CHECK (rows > 0 AND size_bytes > 0)
);
CREATE INDEX ix_credit_entry_generation ON credit_entry (generation_id);
DROP INDEX ix_credit_entry_correction;
"""
_COMMENTS = {
    "archived_batch.batch_id": "Which",
    "archived_batch.store_id": "Identity of the store that has its files",
    "archived_batch.jobs": "How many jobs ended in each state",
    "archived_batch.spent": "Credits that its entries say are spent; none are held or reserved",
    "archived_batch.entries": "How many entries it has",
    "archived_batch.last_entry_id": "The last of them; NULL: it has none",
    "archived_batch.last_posted_at": "When the last of them was posted",
    "archived_batch.sealed_until": "Up to when facts were bound by seals; calls of later are not in its files. NULL:"
    " nothing was sealed",
    "archived_batch.archived_at": "When its files were recorded",
    "archived_batch.login": "Which user of the database recorded them",
    "archived_batch.removed_at": "When its last row was removed from the tables; NULL: some are still there",
    "archived_file.batch_id": "Whose rows it has",
    "archived_file.part": "Which part of the batch''s jobs, from 0",
    "archived_file.name": "The table",
    "archived_file.path": "Where it lies in the store",
    "archived_file.sha256": "Hex digest of its bytes",
    "archived_file.size_bytes": "How many bytes",
    "archived_file.rows": "How many rows",
    "archived_file.rows_sha256": "Hex digest over its rows as the database writes them",
    "archived_file.first_job_id": "The first job of its part, by id",
    "archived_file.last_job_id": "The last job of its part",
}
_FUNCTIONS = """
CREATE FUNCTION keep_unarchived() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    DECLARE
        closed record;
        removable boolean;
    BEGIN
        SELECT s.last_entry_id, s.sealed_at INTO closed FROM seal s WHERE s.id = (SELECT max(seal_id) FROM seal_fact);
        IF TG_TABLE_NAME = 'credit_entry' THEN
            removable := OLD.id <= closed.last_entry_id AND EXISTS (SELECT FROM archived_batch a
                WHERE a.batch_id = OLD.batch_id AND a.removed_at IS NULL AND OLD.id <= a.last_entry_id);
        ELSIF TG_TABLE_NAME = 'call' THEN
            removable := OLD.recorded_at <= closed.sealed_at AND EXISTS (SELECT FROM archived_batch a
                JOIN generation g ON g.batch_id = a.batch_id
                WHERE g.id = OLD.generation_id AND a.removed_at IS NULL AND OLD.recorded_at <= a.sealed_until);
        ELSE
            removable := OLD.read_at <= closed.sealed_at AND EXISTS (SELECT FROM archived_batch a
                JOIN generation g ON g.batch_id = a.batch_id
                WHERE g.id = OLD.generation_id AND a.removed_at IS NULL AND OLD.read_at <= a.sealed_until);
        END IF;
        IF removable IS NOT TRUE THEN
            RAISE EXCEPTION '% on % is refused: the ledger is append-only, post a correction', TG_OP, TG_TABLE_NAME
                USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN OLD;
    END $$;

CREATE FUNCTION remove_archived(of_batch uuid, most integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
    DECLARE
        batch archived_batch;
        doomed uuid[];
        attempts uuid[];
        live bigint;
    BEGIN
        SELECT * INTO batch FROM archived_batch a WHERE a.batch_id = of_batch FOR UPDATE;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'batch % is not archived', of_batch USING ERRCODE = 'restrict_violation';
        END IF;
        SELECT array_agg(id), count(*) FILTER (WHERE state NOT IN ('succeeded', 'failed', 'cancelled'))
            INTO doomed, live FROM (SELECT id, state FROM job WHERE batch_id = of_batch ORDER BY id LIMIT most) j;
        IF live > 0 THEN
            RAISE EXCEPTION 'batch % has jobs that have not ended', of_batch USING ERRCODE = 'restrict_violation';
        END IF;
        IF doomed IS NULL THEN
            UPDATE archived_batch SET removed_at = coalesce(removed_at, clock_timestamp()) WHERE batch_id = of_batch;
            RETURN 0;
        END IF;
        SELECT array_agg(id) INTO attempts FROM generation WHERE job_id = ANY(doomed);
        DELETE FROM failed_attempt WHERE generation_id = ANY(attempts);
        DELETE FROM result WHERE job_id = ANY(doomed);
        DELETE FROM call WHERE generation_id = ANY(attempts) AND recorded_at <= batch.sealed_until;
        DELETE FROM generation_reading WHERE generation_id = ANY(attempts);
        DELETE FROM credit_entry WHERE generation_id = ANY(attempts);
        DELETE FROM generation WHERE id = ANY(attempts);
        DELETE FROM job WHERE id = ANY(doomed);
        RETURN cardinality(doomed);
    END $$;

DO $do$ BEGIN
    EXECUTE 'ALTER FUNCTION remove_archived(uuid, integer) SET search_path = ' || quote_ident(current_schema())
        || ', pg_temp';
    REVOKE EXECUTE ON FUNCTION remove_archived(uuid, integer) FROM PUBLIC;
END $do$;
"""
_REMOVABLE = ("call", "credit_entry", "generation_reading")


def upgrade() -> None:
    scripts.run(_TABLES)
    for column, comment in _COMMENTS.items():
        scripts.run(f"COMMENT ON COLUMN {column} IS '{comment}';")
    scripts.run(_FUNCTIONS)
    for table in _REMOVABLE:
        scripts.run(f"""
            DROP TRIGGER append_only ON {table};
            CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON {table}
                FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
            CREATE TRIGGER archived_only BEFORE DELETE ON {table}
                FOR EACH ROW EXECUTE FUNCTION keep_unarchived();""")
    # `remove_archived` sets `removed_at`, and nothing else may change a row.
    for table, events in {
        "archived_batch": "DELETE OR TRUNCATE",
        "archived_file": "DELETE OR UPDATE OR TRUNCATE",
    }.items():
        scripts.run(f"""
            CREATE TRIGGER append_only BEFORE {events} ON {table}
                FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();""")
    rights.AT_0073.grant()


# Rows that were removed by then are in the store alone: nothing could read them any more.
_REFUSE = """
DO $archived$ BEGIN
    IF EXISTS (SELECT FROM archived_batch) THEN
        RAISE EXCEPTION 'batches are archived, and the version before cannot read them'
            USING ERRCODE = 'object_in_use';
    END IF;
END $archived$;
"""


def downgrade() -> None:
    scripts.run(_REFUSE)
    for table in _REMOVABLE:
        scripts.run(f"""
            DROP TRIGGER archived_only ON {table};
            DROP TRIGGER append_only ON {table};
            CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON {table}
                FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();""")
    scripts.run("""
        DROP FUNCTION remove_archived(uuid, integer);
        DROP FUNCTION keep_unarchived();
        DROP TABLE archived_file;
        DROP TABLE archived_batch;
        CREATE INDEX ix_credit_entry_correction ON credit_entry (generation_id) WHERE kind = 'correct';
        DROP INDEX ix_credit_entry_generation;""")
    rights.AT_0069.grant()
