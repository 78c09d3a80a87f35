"""Let the program erase prompts and references, and leave digests that a random salt keeps from being guessed.

A function does it, so that the application's role can erase a prompt and never rewrite one. For each sealed row that it
changes it keeps the SHA-256 that the row had in its digest, and the one that it has since.
"""

from collections.abc import Sequence

from migrations import contract, rights, scripts

revision: str = "0074"
down_revision: str | None = "0073"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_TABLES = """
ALTER TABLE batch ADD COLUMN salt uuid;
ALTER TABLE batch ALTER COLUMN salt SET DEFAULT gen_random_uuid();
COMMENT ON COLUMN batch.salt IS 'Random, a part of its sealed digests; NULL: erased, or older than this column';
ALTER TABLE job ADD COLUMN salt uuid;
ALTER TABLE job ALTER COLUMN salt SET DEFAULT gen_random_uuid();
COMMENT ON COLUMN job.salt IS
    'Random, a part of the sealed digests of it and of its requests; NULL: erased, or older than this column';
ALTER TABLE job ADD COLUMN erased_at timestamptz;
COMMENT ON COLUMN job.erased_at IS 'When its prompt and what else it said was erased; NULL: it was not';
ALTER TABLE job ADD CONSTRAINT ck_job_erased_has_ended
    CHECK (erased_at IS NULL OR state IN ('succeeded', 'failed', 'cancelled')) NOT VALID;
ALTER TABLE job VALIDATE CONSTRAINT ck_job_erased_has_ended;
ALTER TABLE reference ADD COLUMN erased_at timestamptz;
COMMENT ON COLUMN reference.erased_at IS 'When its file was erased from the store; NULL: it is there';

CREATE TABLE erasure (
    id uuid NOT NULL,
    subject text NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    jobs bigint NOT NULL,
    reference_images bigint NOT NULL,
    erased_at timestamptz NOT NULL,
    login text DEFAULT SESSION_USER NOT NULL,
    CONSTRAINT pk_erasure PRIMARY KEY (id),
    CONSTRAINT ck_erasure_counted CHECK (jobs >= 0 AND reference_images >= 0)
);
COMMENT ON COLUMN erasure.subject IS 'What was erased: job:<id>, batch:<id> or reference:<SHA-256>';
COMMENT ON COLUMN erasure.actor IS 'Who ordered it';
COMMENT ON COLUMN erasure.reason IS 'Why, in the actor''s words';
COMMENT ON COLUMN erasure.jobs IS 'Of how many jobs the prompt was erased';
COMMENT ON COLUMN erasure.reference_images IS 'How many reference images no job needed any more';
COMMENT ON COLUMN erasure.erased_at IS 'When, after the last seal';
COMMENT ON COLUMN erasure.login IS 'Which user of the database did it';
CREATE INDEX ix_erasure_erased_at ON erasure (erased_at);

CREATE TABLE erased_row (
    seal_id bigint NOT NULL,
    kind text NOT NULL,
    key text NOT NULL,
    erasure_id uuid NOT NULL,
    before bytea NOT NULL,
    after bytea,
    CONSTRAINT pk_erased_row PRIMARY KEY (seal_id, kind, key),
    CONSTRAINT fk_erased_row_seal_id FOREIGN KEY (seal_id) REFERENCES seal_fact (seal_id),
    CONSTRAINT fk_erased_row_erasure_id FOREIGN KEY (erasure_id) REFERENCES erasure (id),
    CONSTRAINT ck_erased_row_hashes_whole CHECK (octet_length(before) = 32 AND octet_length(after) = 32)
);
COMMENT ON COLUMN erased_row.seal_id IS 'The sealed facts whose digest has the row';
COMMENT ON COLUMN erased_row.kind IS 'The kind of fact';
COMMENT ON COLUMN erased_row.key IS 'Its place in that digest: the id of an entry, a batch, a call or a reading';
COMMENT ON COLUMN erased_row.erasure_id IS 'What erased it';
COMMENT ON COLUMN erased_row.before IS 'SHA-256 of the row as it was sealed; the salt of its job is gone';
COMMENT ON COLUMN erased_row.after IS 'SHA-256 of the row as the erasure left it; nothing changes it since';
CREATE INDEX ix_erased_row_erasure_id ON erased_row (erasure_id);

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON erasure
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON erased_row
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

# Only the owner of the tables passes, which is who the erasing function works as; an owner could drop the trigger.
_REFUSE = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    BEGIN
        IF TG_OP = 'UPDATE' AND TG_TABLE_NAME IN ('call', 'generation_reading', 'catalog_rejection')
                AND current_setting('darkroom.is_erasing', true) = 'yes'
                AND (SELECT pg_has_role(c.relowner, 'USAGE') FROM pg_class c WHERE c.oid = TG_RELID) THEN
            RETURN NULL;
        END IF;
        RAISE EXCEPTION '% on % is refused: the ledger is append-only, post a correction', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END $$;
"""
_REFUSE_BEFORE = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    BEGIN
        RAISE EXCEPTION '% on % is refused: the ledger is append-only, post a correction', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
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


# The seals of facts are few and in the order of entries and of instants: the period of a row is found by bisection.
_LINES = f"""
CREATE FUNCTION sealed_lines(jobs uuid[], batches uuid[])
    RETURNS TABLE (seal_id bigint, kind text, key text, sha256 bytea)
    LANGUAGE sql STABLE
    AS $$
    WITH period AS MATERIALIZED (
        SELECT array_agg(f.seal_id ORDER BY f.seal_id) AS seals, array_agg(s.last_entry_id ORDER BY f.seal_id) AS lasts,
            array_agg(s.sealed_at ORDER BY f.seal_id) AS untils,
            array_agg(f.digests LIKE '%salted_job %' ORDER BY f.seal_id) AS salted
        FROM seal_fact f JOIN seal s ON s.id = f.seal_id),
    attempt AS MATERIALIZED (SELECT g.* FROM generation g WHERE g.job_id = ANY(jobs)),
    placed AS MATERIALIZED (
        SELECT e.id, e.kind, e.generation_id, width_bucket(e.id - 1, p.lasts) + 1 AS place
        FROM attempt g JOIN credit_entry e ON e.generation_id = g.id CROSS JOIN period p),
    entry AS MATERIALIZED (
        SELECT e.id, e.kind, e.generation_id, p.seals[e.place] AS seal_id, p.salted[e.place] AS is_salted
        FROM placed e CROSS JOIN period p WHERE e.place <= cardinality(p.seals)),
    batch_place AS MATERIALIZED (
        SELECT DISTINCT e.batch_id, width_bucket(e.id - 1, p.lasts) + 1 AS place
        FROM credit_entry e CROSS JOIN period p WHERE e.batch_id = ANY(batches))
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

_ERASE = """
CREATE FUNCTION erase_texts(about text, jobs uuid[], whole_batch uuid, images text[], by_whom text, why text)
    RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
    DECLARE
        number uuid := gen_random_uuid();
        instant timestamptz;
        said text;
        batches uuid[];
        items uuid[];
        unneeded text[];
        sealed erased_row[];
    BEGIN
        -- As sealing of facts does, so that no period is closed meanwhile.
        PERFORM pg_advisory_xact_lock(7041776402155231114);
        PERFORM pg_advisory_xact_lock_shared(7041776402155231113);
        PERFORM FROM catalog WHERE id IN (SELECT i.catalog_id FROM catalog_render r
            JOIN catalog_item i ON i.id = r.item_id WHERE r.job_id = ANY(jobs)) ORDER BY id FOR NO KEY UPDATE;
        PERFORM FROM batch WHERE id = whole_batch OR id IN (SELECT j.batch_id FROM job j WHERE j.id = ANY(jobs))
            ORDER BY id FOR NO KEY UPDATE;
        PERFORM FROM job WHERE id = ANY(jobs) ORDER BY id FOR UPDATE;
        IF EXISTS (SELECT FROM job j WHERE j.id = ANY(jobs) AND (j.erased_at IS NOT NULL
                OR j.state NOT IN ('succeeded', 'failed', 'cancelled')
                OR EXISTS (SELECT FROM step s WHERE s.job_id = j.id))) THEN
            RAISE EXCEPTION 'a job has not ended, or was erased before' USING ERRCODE = 'object_in_use';
        END IF;
        SELECT array_agg(DISTINCT r.item_id) INTO items FROM catalog_render r WHERE r.job_id = ANY(jobs);
        IF EXISTS (SELECT FROM catalog_item i JOIN catalog c ON c.id = i.catalog_id
                WHERE i.id = ANY(items) AND i.removed_at IS NULL AND c.removed_at IS NULL) THEN
            RAISE EXCEPTION 'an item is still in its catalog' USING ERRCODE = 'object_in_use';
        END IF;
        SELECT greatest(clock_timestamp(), (SELECT s.sealed_at + interval '1 microsecond' FROM seal s
            ORDER BY s.id DESC LIMIT 1)) INTO instant;
        said := '(erased on ' || to_char(instant AT TIME ZONE 'UTC', 'YYYY-MM-DD') || ')';
        batches := ARRAY(SELECT b.id FROM batch b WHERE b.content_hash <> 'erased'
            AND (b.id = whole_batch OR b.id IN (SELECT j.batch_id FROM job j WHERE j.id = ANY(jobs))));
        sealed := ARRAY(SELECT ROW(l.seal_id, l.kind, l.key, number, l.sha256, NULL)::erased_row
            FROM sealed_lines(jobs, batches) l);
        PERFORM set_config('darkroom.is_erasing', 'yes', true);

        DELETE FROM prompt_failure f USING job j, batch b
            WHERE j.id = ANY(jobs) AND b.id = j.batch_id AND f.account_id = b.account_id AND f.model = j.model
                AND f.prompt_hash = sha256(convert_to(j.prompt, 'UTF8'));
        DELETE FROM failed_attempt WHERE job_id = ANY(jobs);
        UPDATE call SET message = said WHERE message IS NOT NULL
            AND generation_id IN (SELECT g.id FROM generation g WHERE g.job_id = ANY(jobs));
        UPDATE generation_reading SET message = said WHERE message IS NOT NULL
            AND generation_id IN (SELECT g.id FROM generation g WHERE g.job_id = ANY(jobs));
        UPDATE generation SET body = CASE WHEN body IS NOT NULL THEN ''::bytea END,
            error_message = CASE WHEN error_message IS NOT NULL THEN said END WHERE job_id = ANY(jobs);
        UPDATE job SET prompt = said, extra = '{}', fingerprint = 'erased', salt = NULL, erased_at = instant,
            failure_message = CASE WHEN failure_message IS NOT NULL THEN said END WHERE id = ANY(jobs);
        UPDATE batch SET content_hash = 'erased', salt = NULL WHERE id = ANY(batches);
        UPDATE refused_line SET reason = said, permitted = '[]' WHERE batch_id = whole_batch;
        UPDATE refused_message SET raw = '', sha256 = 'erased' WHERE batch_id = whole_batch;

        UPDATE catalog_render SET parts = parts || jsonb_build_object('prompt', said), fingerprint = 'erased'
            WHERE job_id = ANY(jobs);
        UPDATE catalog_rejection SET prompt = said WHERE item_id = ANY(items) AND prompt IS NOT NULL;
        UPDATE catalog_decision SET prompt = said WHERE prompt IS NOT NULL
            AND render_id IN (SELECT r.id FROM catalog_render r WHERE r.item_id = ANY(items));
        UPDATE catalog_plan p SET content_hash = 'erased', document = jsonb_set(p.document, '{renders}', (
                SELECT jsonb_agg(CASE WHEN x.value ->> 'sku' = ANY(c.skus) THEN x.value || jsonb_build_object(
                    'prompt', said, 'words', '[]'::jsonb, 'fingerprint', 'erased') ELSE x.value END ORDER BY x.place)
                FROM jsonb_array_elements(p.document -> 'renders') WITH ORDINALITY x (value, place)))
            FROM (SELECT i.catalog_id, array_agg(i.sku) AS skus FROM catalog_item i WHERE i.id = ANY(items)
                GROUP BY i.catalog_id) c
            WHERE p.catalog_id = c.catalog_id AND EXISTS (
                SELECT FROM jsonb_array_elements(p.document -> 'renders') x WHERE x.value ->> 'sku' = ANY(c.skus));
        UPDATE catalog_item SET fields = '{}', edited_prompt = NULL, edited_from = NULL, kept_fingerprint = NULL
            WHERE id = ANY(items);

        PERFORM FROM reference r WHERE r.erased_at IS NULL AND (r.sha256 = ANY(images) OR r.sha256 IN (
                SELECT unnest(j.reference_hash || j.further_references) FROM job j WHERE j.id = ANY(jobs)))
            ORDER BY r.sha256 FOR UPDATE;
        unneeded := ARRAY(SELECT r.sha256 FROM reference r WHERE r.erased_at IS NULL AND (r.sha256 = ANY(images)
            OR r.sha256 IN (SELECT unnest(j.reference_hash || j.further_references) FROM job j
                WHERE j.id = ANY(jobs))));
        IF unneeded <> '{}' THEN
            unneeded := ARRAY(SELECT unnest(unneeded)
                EXCEPT SELECT used FROM job j CROSS JOIN LATERAL unnest(j.reference_hash || j.further_references) used
                    WHERE j.erased_at IS NULL
                        AND (j.reference_hash = ANY(unneeded) OR j.further_references && unneeded)
                        AND (j.state NOT IN ('succeeded', 'failed', 'cancelled') OR used <> ALL(images))
                EXCEPT SELECT unnest(i.reference_hash || i.further_references) FROM catalog_item i
                    JOIN catalog c ON c.id = i.catalog_id WHERE i.removed_at IS NULL AND c.removed_at IS NULL);
            UPDATE reference SET name = said, erased_at = instant WHERE sha256 = ANY(unneeded);
            DELETE FROM upload WHERE reference_hash = ANY(unneeded);
        END IF;

        INSERT INTO erasure (id, subject, actor, reason, jobs, reference_images, erased_at)
            VALUES (number, about, by_whom, why, cardinality(jobs), cardinality(unneeded), instant);
        INSERT INTO erased_row (seal_id, kind, key, erasure_id, before, after)
            SELECT b.seal_id, b.kind, b.key, number, b.before, l.sha256 FROM unnest(sealed) b
            JOIN sealed_lines(jobs, batches) l ON l.seal_id = b.seal_id AND l.kind = b.kind AND l.key = b.key
            WHERE l.sha256 <> b.before;
        INSERT INTO change (id, subject, field, before, after, actor, reason, changed_at)
            VALUES (number, about, 'erased', NULL, cardinality(jobs) || ' jobs, ' || cardinality(unneeded)
                || ' reference images', by_whom, why, instant);
        PERFORM set_config('darkroom.is_erasing', '', true);
        RETURN number;
    END $$;

DO $$ BEGIN
    EXECUTE 'ALTER FUNCTION erase_texts(text, uuid[], uuid, text[], text, text) SET search_path = '
        || quote_ident(current_schema()) || ', pg_temp';
    EXECUTE 'ALTER FUNCTION sealed_lines(uuid[], uuid[]) SET search_path = '
        || quote_ident(current_schema()) || ', pg_temp';
    EXECUTE 'ALTER FUNCTION refuse_change() SET search_path = ' || quote_ident(current_schema()) || ', pg_temp';
END $$;
REVOKE EXECUTE ON FUNCTION erase_texts(text, uuid[], uuid, text[], text, text) FROM PUBLIC;
"""

_DOWN = """
DROP FUNCTION erase_texts(text, uuid[], uuid, text[], text, text);
DROP FUNCTION sealed_lines(uuid[], uuid[]);
DROP TABLE erased_row;
DROP TABLE erasure;
ALTER TABLE reference DROP COLUMN erased_at;
ALTER TABLE job DROP CONSTRAINT ck_job_erased_has_ended;
ALTER TABLE job DROP COLUMN erased_at;
ALTER TABLE job DROP COLUMN salt;
ALTER TABLE batch DROP COLUMN salt;
DO $$ BEGIN
    EXECUTE 'ALTER FUNCTION refuse_change() SET search_path = ' || quote_ident(current_schema()) || ', pg_temp';
END $$;
"""


def upgrade() -> None:
    # The constraint bars what no node of before does: it is about jobs that were erased, and each of them has ended.
    contract.require("0061")
    scripts.run(_TABLES + _REFUSE + _LINES + _ERASE)
    rights.AT_0074.grant()


def downgrade() -> None:
    rights.AT_0073.grant()
    scripts.run(_REFUSE_BEFORE + _DOWN)
