"""Add the function that erases prompts of archived batches, and the record of the files that it replaces.

As in migration 0074 a function does it, and the application's role can rewrite nothing. It is given the rows as values,
never as tables: the owner of a temporary table could have code of their own run with the rights of the function.
"""

from collections.abc import Sequence

from migrations import rights, scripts

revision: str = "0081"
down_revision: str | None = "0080"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_TABLES = """
CREATE TABLE rewritten_file (
    erasure_id uuid NOT NULL,
    batch_id uuid NOT NULL,
    part smallint NOT NULL,
    name text NOT NULL,
    path text NOT NULL,
    sha256 text NOT NULL,
    size_bytes bigint NOT NULL,
    rows_sha256 text NOT NULL,
    new_sha256 text NOT NULL,
    CONSTRAINT pk_rewritten_file PRIMARY KEY (erasure_id, batch_id, part, name),
    CONSTRAINT fk_rewritten_file_erasure_id FOREIGN KEY (erasure_id) REFERENCES erasure (id),
    CONSTRAINT fk_rewritten_file_batch_id FOREIGN KEY (batch_id) REFERENCES archived_batch (batch_id)
);
COMMENT ON COLUMN rewritten_file.erasure_id IS 'What erased it: who, when and why';
COMMENT ON COLUMN rewritten_file.batch_id IS 'Whose rows it had';
COMMENT ON COLUMN rewritten_file.part IS 'Which part of the batch''s jobs, from 0';
COMMENT ON COLUMN rewritten_file.name IS 'The table';
COMMENT ON COLUMN rewritten_file.path IS 'Where it lay in the store';
COMMENT ON COLUMN rewritten_file.sha256 IS 'Hex digest of its bytes';
COMMENT ON COLUMN rewritten_file.size_bytes IS 'How many bytes';
COMMENT ON COLUMN rewritten_file.rows_sha256 IS 'Hex digest over its rows as the database writes them';
COMMENT ON COLUMN rewritten_file.new_sha256 IS 'Hex digest of the bytes of the file that took its place';
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON rewritten_file
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TABLE unneeded_file (
    path text NOT NULL,
    batch_id uuid NOT NULL,
    CONSTRAINT pk_unneeded_file PRIMARY KEY (path)
);
COMMENT ON COLUMN unneeded_file.path IS 'A file of the store that is removed unless a batch is archived in it';
COMMENT ON COLUMN unneeded_file.batch_id IS 'The batch in whose folder it lies';
CREATE INDEX ix_unneeded_file_batch_id ON unneeded_file (batch_id);
"""

# Only the owner of the tables passes, which is who the erasing functions work as.
_REFUSE = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    BEGIN
        IF TG_OP = 'UPDATE'
                AND TG_TABLE_NAME IN ('call', 'generation_reading', 'catalog_rejection'ARCHIVED)
                AND current_setting('darkroom.is_erasing', true) = 'yes'
                AND (SELECT pg_has_role(c.relowner, 'USAGE') FROM pg_class c WHERE c.oid = TG_RELID) THEN
            RETURN NULL;
        END IF;
        RAISE EXCEPTION '% on % is refused: the ledger is append-only, post a correction', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END $$;
DO $$ BEGIN
    EXECUTE 'ALTER FUNCTION refuse_change() SET search_path = ' || quote_ident(current_schema()) || ', pg_temp';
END $$;
"""


def _cap_then(subject: str, field: str, now: str) -> str:
    """Return the SQL of what a cap was when the period ended (worker.audit.queries.facts)."""
    return f"""
        CASE WHEN EXISTS (SELECT FROM change h WHERE h.subject = {subject} AND h.field = '{field}'
                AND h.changed_at > until)
            THEN (SELECT h.before FROM change h WHERE h.subject = {subject} AND h.field = '{field}'
                AND h.changed_at > until ORDER BY h.changed_at, h.id LIMIT 1)
            ELSE {now}::text END"""  # noqa: S608 - of constants, below


_BATCH = f"""b.id, b.account_id, b.token, b.content_hash, b.name, b.owner, b.purpose, b.size, b.created_at,
    b.size_policy, b.models, {_cap_then("'batch:' || b.id", "credit_cap", "b.credit_cap")}, {
    _cap_then(
        "'owner:' || b.owner",
        "monthly_cap",
        "(SELECT c.monthly_cap FROM owner_cap c WHERE c.owner = b.owner)",
    )
}"""  # noqa: S608 - of constants
_JOB = """j.id, j.batch_id, j.line, j.key, j.model, j.prompt, j.params, j.reference_hash, j.extra, j.fingerprint,
    j.price, j.created_at, j.further_references"""
_REQUEST = "g.id, encode(sha256(g.body), 'hex')"
_SALTED_REQUEST = "g.id, encode(sha256(coalesce(uuid_send(j.salt), '') || g.body), 'hex')"
_OUTCOME = """g.id, g.provider_id, g.first_sent_at, g.accepted_at, g.ended_at, g.error_code, g.error_message,
    g.request_id"""
_CALL = """id, started_at, ended_at, account_id, generation_id, http_status, send, is_late, kind, outcome, code,
    message, request_id, provider_id, size_bytes, recorded_at"""
_READING = "id, generation_id, read_at, status, reserved, final, code, message"


def _line(columns: str) -> str:
    return f"sha256(convert_to(ROW({columns})::text, 'UTF8'))"


def _either(salted: str, plain: str) -> str:
    return f"CASE WHEN e.is_salted THEN {_line(salted)} ELSE {_line(plain)} END"


# As `sealed_lines` of migration 0074, over rows that are given: the names of the tables are those of the values.
_LINES = f"""
CREATE FUNCTION archived_lines(of_jobs job[], of_generations generation[], of_entries credit_entry[], of_calls call[],
        of_readings generation_reading[], batches uuid[], all_entries bigint[])
    RETURNS TABLE (seal_id bigint, kind text, key text, sha256 bytea)
    LANGUAGE sql STABLE
    AS $$
    WITH job AS MATERIALIZED (SELECT * FROM unnest(of_jobs)),
    generation AS MATERIALIZED (SELECT * FROM unnest(of_generations)),
    credit_entry AS MATERIALIZED (SELECT * FROM unnest(of_entries)),
    call AS MATERIALIZED (SELECT * FROM unnest(of_calls)),
    generation_reading AS MATERIALIZED (SELECT * FROM unnest(of_readings)),
    period AS MATERIALIZED (
        SELECT array_agg(f.seal_id ORDER BY f.seal_id) AS seals, array_agg(s.last_entry_id ORDER BY f.seal_id) AS lasts,
            array_agg(s.sealed_at ORDER BY f.seal_id) AS untils,
            array_agg(f.digests LIKE '%salted_job %' ORDER BY f.seal_id) AS salted
        FROM seal_fact f JOIN seal s ON s.id = f.seal_id),
    attempt AS MATERIALIZED (SELECT g.* FROM generation g),
    placed AS MATERIALIZED (
        SELECT e.id, e.kind, e.generation_id, width_bucket(e.id - 1, p.lasts) + 1 AS place
        FROM attempt g JOIN credit_entry e ON e.generation_id = g.id CROSS JOIN period p),
    entry AS MATERIALIZED (
        SELECT e.id, e.kind, e.generation_id, p.seals[e.place] AS seal_id, p.salted[e.place] AS is_salted
        FROM placed e CROSS JOIN period p WHERE e.place <= cardinality(p.seals)),
    batch_place AS MATERIALIZED (
        SELECT DISTINCT b.id AS batch_id, width_bucket(e.id - 1, p.lasts) + 1 AS place
        FROM unnest(batches) b (id) CROSS JOIN unnest(all_entries) e (id) CROSS JOIN period p)
    SELECT p.seals[n.place], CASE WHEN p.salted[n.place] THEN 'salted_batch' ELSE 'batch' END, b.id::text, (
        SELECT CASE WHEN p.salted[n.place] THEN {_line(_BATCH + ", b.salt")} ELSE {_line(_BATCH)} END
        FROM (SELECT p.untils[n.place] AS until) u)
    FROM batch_place n JOIN batch b ON b.id = n.batch_id CROSS JOIN period p WHERE n.place <= cardinality(p.seals)
    UNION ALL
    SELECT e.seal_id, CASE WHEN e.is_salted THEN 'salted_job' ELSE 'job' END, e.id::text, {
    _either(_JOB + ", j.salt, j.erased_at", _JOB)
}
    FROM entry e JOIN attempt g ON g.id = e.generation_id JOIN job j ON j.id = g.job_id WHERE e.kind = 'hold'
    UNION ALL
    SELECT e.seal_id, CASE WHEN e.is_salted THEN 'salted_request' ELSE 'request' END, e.id::text, {
    _either(_SALTED_REQUEST, _REQUEST)
}
    FROM entry e JOIN attempt g ON g.id = e.generation_id JOIN job j ON j.id = g.job_id WHERE e.kind = 'reserve'
    UNION ALL
    SELECT e.seal_id, 'outcome', e.id::text, {_line(_OUTCOME)}
    FROM entry e JOIN attempt g ON g.id = e.generation_id WHERE e.kind IN ('settle', 'release', 'void')
    UNION ALL
    SELECT p.seals[c.place], 'call', c.id::text, c.line FROM period p CROSS JOIN LATERAL (
        SELECT id, {_line(_CALL)} AS line, width_bucket(recorded_at - interval '1 microsecond', p.untils) + 1 AS place
        FROM call WHERE generation_id IN (SELECT a.id FROM attempt a) AND message IS NOT NULL) c
    WHERE c.place <= cardinality(p.seals)
    UNION ALL
    SELECT p.seals[r.place], 'generation_reading', r.id::text, r.line FROM period p CROSS JOIN LATERAL (
        SELECT id, {_line(_READING)} AS line, width_bucket(read_at - interval '1 microsecond', p.untils) + 1 AS place
        FROM generation_reading WHERE generation_id IN (SELECT a.id FROM attempt a) AND message IS NOT NULL) r
    WHERE r.place <= cardinality(p.seals)
    $$;
"""  # noqa: S608 - of constants

_SIGNATURE = """erase_archived(text, uuid, boolean, timestamptz, job[], generation[], credit_entry[], call[],
    generation_reading[], bigint[], text[], jsonb, text, text)"""
_ERASE = """
CREATE FUNCTION erase_archived(about text, of_batch uuid, is_whole boolean, instant timestamptz, jobs job[],
        generations generation[], entries credit_entry[], calls call[], readings generation_reading[],
        all_entries bigint[], used_images text[], files jsonb, by_whom text, why text)
    RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
    DECLARE
        number uuid := gen_random_uuid();
        said text := '(erased on ' || to_char(instant AT TIME ZONE 'UTC', 'YYYY-MM-DD') || ')';
        batches uuid[];
        unneeded text[];
        sealed erased_row[];
        replaced bigint;
    BEGIN
        -- As sealing of facts does, so that no period is closed meanwhile.
        PERFORM pg_advisory_xact_lock(7041776402155231114);
        PERFORM pg_advisory_xact_lock_shared(7041776402155231113);
        PERFORM FROM batch WHERE id = of_batch FOR NO KEY UPDATE;
        IF NOT EXISTS (SELECT FROM archived_batch a WHERE a.batch_id = of_batch AND a.removed_at IS NOT NULL) THEN
            RAISE EXCEPTION 'batch % is not archived', of_batch USING ERRCODE = 'object_in_use';
        END IF;
        IF instant IS NULL OR instant > clock_timestamp() + interval '1 second'
                OR instant <= (SELECT max(s.sealed_at) FROM seal s) THEN
            RAISE EXCEPTION 'the books were sealed meanwhile' USING ERRCODE = 'lock_not_available';
        END IF;
        IF EXISTS (SELECT FROM unnest(jobs) j WHERE j.batch_id IS DISTINCT FROM of_batch OR j.erased_at IS NOT NULL
                OR (j.state IN ('succeeded', 'failed', 'cancelled')) IS NOT TRUE
                OR EXISTS (SELECT FROM job l WHERE l.id = j.id)) THEN
            RAISE EXCEPTION 'a job is not of the archived batch, or was erased before' USING ERRCODE = 'object_in_use';
        END IF;
        batches := ARRAY(SELECT b.id FROM batch b WHERE b.content_hash <> 'erased' AND b.id = of_batch);
        sealed := ARRAY(SELECT ROW(l.seal_id, l.kind, l.key, number, l.sha256, NULL)::erased_row
            FROM archived_lines(jobs, generations, entries, calls, readings, batches, all_entries) l);
        PERFORM set_config('darkroom.is_erasing', 'yes', true);

        DELETE FROM prompt_failure f USING unnest(jobs) j
            WHERE f.model = j.model AND f.prompt_hash = sha256(convert_to(j.prompt, 'UTF8'));
        unneeded := ARRAY(SELECT r.sha256 FROM reference r WHERE r.erased_at IS NULL AND r.sha256 <> ALL(used_images)
            AND r.sha256 IN (SELECT unnest(j.reference_hash || j.further_references) FROM unnest(jobs) j)
            ORDER BY r.sha256 FOR UPDATE);
        jobs := ARRAY(SELECT jsonb_populate_record(j, jsonb_build_object('prompt', said, 'extra', '{}'::jsonb,
                'fingerprint', 'erased', 'salt', NULL, 'erased_at', instant, 'failure_message',
                CASE WHEN j.failure_message IS NOT NULL THEN said END)) FROM unnest(jobs) j);
        generations := ARRAY(SELECT jsonb_populate_record(g, jsonb_build_object(
                'body', CASE WHEN g.body IS NOT NULL THEN '' END,
                'error_message', CASE WHEN g.error_message IS NOT NULL THEN said END)) FROM unnest(generations) g);
        calls := ARRAY(SELECT CASE WHEN c.message IS NULL THEN c
            ELSE jsonb_populate_record(c, jsonb_build_object('message', said)) END FROM unnest(calls) c);
        readings := ARRAY(SELECT CASE WHEN n.message IS NULL THEN n
            ELSE jsonb_populate_record(n, jsonb_build_object('message', said)) END FROM unnest(readings) n);
        UPDATE batch SET content_hash = 'erased', salt = NULL WHERE id = ANY(batches);
        IF is_whole THEN
            UPDATE refused_line SET reason = said, permitted = '[]' WHERE batch_id = of_batch;
            UPDATE refused_message SET raw = '', sha256 = 'erased' WHERE batch_id = of_batch;
        END IF;

        IF unneeded <> '{}' THEN
            unneeded := ARRAY(SELECT unnest(unneeded)
                EXCEPT SELECT used FROM job j CROSS JOIN LATERAL unnest(j.reference_hash || j.further_references) used
                    WHERE j.erased_at IS NULL
                        AND (j.reference_hash = ANY(unneeded) OR j.further_references && unneeded)
                EXCEPT SELECT unnest(i.reference_hash || i.further_references) FROM catalog_item i
                    JOIN catalog c ON c.id = i.catalog_id WHERE i.removed_at IS NULL AND c.removed_at IS NULL);
            UPDATE reference SET name = said, erased_at = instant WHERE sha256 = ANY(unneeded);
            DELETE FROM upload WHERE reference_hash = ANY(unneeded);
        END IF;

        INSERT INTO erasure (id, subject, actor, reason, jobs, reference_images, erased_at)
            VALUES (number, about, by_whom, why, cardinality(jobs), cardinality(unneeded), instant);
        INSERT INTO erased_row (seal_id, kind, key, erasure_id, before, after)
            SELECT b.seal_id, b.kind, b.key, number, b.before, l.sha256 FROM unnest(sealed) b
            JOIN archived_lines(jobs, generations, entries, calls, readings, batches, all_entries) l
                ON l.seal_id = b.seal_id AND l.kind = b.kind AND l.key = b.key
            WHERE l.sha256 <> b.before;
        INSERT INTO change (id, subject, field, before, after, actor, reason, changed_at)
            VALUES (number, about, 'erased', NULL, cardinality(jobs) || ' jobs, ' || cardinality(unneeded)
                || ' reference images', by_whom, why, instant);
        INSERT INTO rewritten_file (erasure_id, batch_id, part, name, path, sha256, size_bytes, rows_sha256,
                new_sha256)
            SELECT number, f.batch_id, f.part, f.name, f.path, f.sha256, f.size_bytes, f.rows_sha256, n.sha256
            FROM archived_file f JOIN jsonb_to_recordset(files) n (part smallint, name text, sha256 text, rows bigint)
                ON n.part = f.part AND n.name = f.name AND n.rows = f.rows
            WHERE f.batch_id = of_batch;
        INSERT INTO unneeded_file (path, batch_id)
            SELECT path, batch_id FROM rewritten_file WHERE erasure_id = number ON CONFLICT DO NOTHING;
        UPDATE archived_file f SET path = n.path, sha256 = n.sha256, size_bytes = n.size_bytes,
                rows_sha256 = n.rows_sha256
            FROM jsonb_to_recordset(files) n (part smallint, name text, path text, sha256 text, size_bytes bigint,
                rows bigint, rows_sha256 text)
            WHERE f.batch_id = of_batch AND f.part = n.part AND f.name = n.name AND f.rows = n.rows;
        GET DIAGNOSTICS replaced = ROW_COUNT;
        IF replaced <> jsonb_array_length(files) THEN
            RAISE EXCEPTION 'a file of batch % has other rows', of_batch USING ERRCODE = 'object_in_use';
        END IF;
        DELETE FROM unneeded_file u USING archived_file f WHERE f.batch_id = of_batch AND u.path = f.path;
        PERFORM set_config('darkroom.is_erasing', '', true);
        RETURN number;
    END $$;
"""
_SECURED = f"""
DO $$ BEGIN
    EXECUTE 'ALTER FUNCTION {_SIGNATURE} SET search_path = '
        || quote_ident(current_schema()) || ', pg_temp';
    EXECUTE 'ALTER FUNCTION archived_lines(job[], generation[], credit_entry[], call[], generation_reading[], uuid[],
        bigint[]) SET search_path = ' || quote_ident(current_schema()) || ', pg_temp';
END $$;
REVOKE EXECUTE ON FUNCTION {_SIGNATURE} FROM PUBLIC;
"""


def upgrade() -> None:
    scripts.run(_TABLES + _REFUSE.replace("ARCHIVED", ", 'archived_file'") + _LINES + _ERASE + _SECURED)
    rights.AT_0081.grant()


def downgrade() -> None:
    rights.AT_0079.grant()
    scripts.run(_REFUSE.replace("ARCHIVED", ""))
    scripts.run(f"""
        DROP FUNCTION {_SIGNATURE};
        DROP FUNCTION archived_lines(job[], generation[], credit_entry[], call[], generation_reading[], uuid[],
            bigint[]);
        DROP TABLE unneeded_file;
        DROP TABLE rewritten_file;""")
