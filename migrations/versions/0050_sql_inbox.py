"""Let producers in any language enqueue with one statement of SQL, inside a transaction of their own."""

from collections.abc import Sequence

from migrations import scripts

revision: str = "0050"
down_revision: str | None = "0049"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# UUIDv7, which the server makes by itself only from Postgres 18 on.
_UUID7 = """encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) PLACING
            substring(int8send(trunc(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6),
            52, 1), 53, 1), 'hex')::uuid"""

_ENQUEUE = f"""
CREATE FUNCTION darkroom_enqueue(batch jsonb, requests jsonb, account text DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
    DECLARE
        token text := batch ->> 'token';
        accounts uuid[];
        content bytea;
        content_hash text;
    BEGIN
        IF jsonb_typeof(batch) IS DISTINCT FROM 'object' THEN
            RAISE EXCEPTION 'darkroom_enqueue: batch must be an object'
                USING ERRCODE = 'invalid_parameter_value', HINT = 'for example {{"token": "order-1"}}';
        END IF;
        IF jsonb_typeof(batch -> 'token') IS DISTINCT FROM 'string' OR token = '' THEN
            RAISE EXCEPTION 'darkroom_enqueue: batch needs a token'
                USING ERRCODE = 'invalid_parameter_value', HINT = 'your own id: the same one again adds nothing';
        END IF;
        IF jsonb_typeof(requests) IS DISTINCT FROM 'array' THEN
            RAISE EXCEPTION 'darkroom_enqueue: requests must be an array of objects'
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
        IF jsonb_array_length(requests) > 10000 THEN
            RAISE EXCEPTION 'darkroom_enqueue: % requests are more than 10000', jsonb_array_length(requests)
                USING ERRCODE = 'program_limit_exceeded', HINT = 'make several batches, each with a token of its own';
        END IF;
        SELECT array_agg(a.id) INTO accounts FROM account a
            WHERE darkroom_enqueue.account IS NULL OR a.name = darkroom_enqueue.account;
        IF coalesce(cardinality(accounts), 0) <> 1 THEN
            RAISE EXCEPTION 'darkroom_enqueue: % accounts are called %', coalesce(cardinality(accounts), 0),
                coalesce(quote_literal(darkroom_enqueue.account), 'anything')
                USING ERRCODE = 'invalid_parameter_value',
                    HINT = 'name one as the third argument; an account is made when its first node starts';
        END IF;
        content := convert_to(jsonb_build_array(jsonb_build_array(batch, requests), '{{}}'::jsonb, '{{}}'::jsonb)::text,
            'UTF8');
        IF octet_length(content) > 16777216 THEN
            RAISE EXCEPTION 'darkroom_enqueue: batch and requests have % bytes, more than 16 MiB', octet_length(content)
                USING ERRCODE = 'program_limit_exceeded', HINT = 'make several batches, each with a token of its own';
        END IF;
        content_hash := encode(sha256(content), 'hex');
        INSERT INTO waiting_message (id, account_id, name, sha256, body, received_at, due_at)
            VALUES ({_UUID7}, accounts[1], 'sql:' || token, content_hash, content, clock_timestamp(), clock_timestamp())
            ON CONFLICT (account_id, name, sha256) DO NOTHING;
        RETURN token;
    END $$
"""  # noqa: S608 - the expression is that above

_STATUS = """
CREATE FUNCTION darkroom_batch(token text) RETURNS jsonb
    LANGUAGE sql STABLE SECURITY DEFINER
    AS $$
        SELECT coalesce(
            (SELECT jsonb_build_object('token', b.token, 'id', b.id, 'state', b.state, 'size', b.size,
                'jobs', (SELECT coalesce(jsonb_object_agg(j.state, j.count), '{}') FROM (
                    SELECT state, count(*) AS count FROM job WHERE batch_id = b.id GROUP BY state) j),
                'faults', (SELECT coalesce(jsonb_agg(jsonb_build_object('line', l.line, 'field', l.field,
                        'reason', l.reason) ORDER BY l.line, l.id), '[]') FROM (
                    SELECT * FROM refused_line WHERE batch_id = b.id ORDER BY line, id LIMIT 100) l))
            FROM batch b WHERE b.token = darkroom_batch.token),
            (SELECT jsonb_build_object('token', darkroom_batch.token, 'state', 'waiting') FROM waiting_message
            WHERE name = 'sql:' || darkroom_batch.token LIMIT 1))
    $$
"""

_FUNCTIONS = ("darkroom_enqueue(jsonb, jsonb, text)", "darkroom_batch(text)")

# Where the role cannot be made here, an administrator makes it and grants the same (docs/producers.md).
_GRANT = """
    DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'darkroom_producer') THEN
            BEGIN
                CREATE ROLE darkroom_producer NOLOGIN;
            EXCEPTION
                WHEN insufficient_privilege THEN RETURN;
                WHEN duplicate_object OR unique_violation THEN NULL;
            END;
        END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO darkroom_producer', current_schema());
        GRANT EXECUTE ON FUNCTION darkroom_enqueue(jsonb, jsonb, text), darkroom_batch(text) TO darkroom_producer;
    END $$"""

_REVOKE = """
    DO $$ BEGIN
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'darkroom_producer') THEN
            EXECUTE format('REVOKE USAGE ON SCHEMA %I FROM darkroom_producer', current_schema());
        END IF;
    END $$"""


def upgrade() -> None:
    scripts.run(_ENQUEUE)
    scripts.run(_STATUS)
    for function in _FUNCTIONS:
        scripts.run(f"""DO $$ BEGIN EXECUTE 'ALTER FUNCTION {function} SET search_path = '
            || quote_ident(current_schema()) || ', pg_temp'; END $$""")
        scripts.run(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC")
    scripts.run(_GRANT)


def downgrade() -> None:
    for function in _FUNCTIONS:
        scripts.run(f"DROP FUNCTION {function}")
    scripts.run(_REVOKE)
