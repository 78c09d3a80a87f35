"""Let a login that is bound to an owner spend from no other account than that owner's."""

from collections.abc import Sequence

from migrations import scripts

revision: str = "0072"
down_revision: str | None = "0071"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_UUID7 = """encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) PLACING
            substring(int8send(trunc(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6),
            52, 1), 53, 1), 'hex')::uuid"""

_ENQUEUE = """
CREATE OR REPLACE FUNCTION darkroom_enqueue(batch jsonb, requests jsonb, account text DEFAULT NULL) RETURNS text
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
{accounts}
        content := convert_to(jsonb_build_array(jsonb_build_array(batch, requests), '{{}}'::jsonb, '{{}}'::jsonb)::text,
            'UTF8');
        IF octet_length(content) > 16777216 THEN
            RAISE EXCEPTION 'darkroom_enqueue: batch and requests have % bytes, more than 16 MiB', octet_length(content)
                USING ERRCODE = 'program_limit_exceeded', HINT = 'make several batches, each with a token of its own';
        END IF;
        content_hash := encode(sha256(content), 'hex');
        INSERT INTO waiting_message (id, account_id, name, sha256, body, received_at, due_at)
            VALUES ({uuid7}, accounts[1], 'sql:' || token, content_hash, content, clock_timestamp(), clock_timestamp())
            ON CONFLICT (account_id, name, sha256) DO NOTHING;
        RETURN token;
    END $$
"""

# Until then who might enqueue might name any account.
_BY_BATCH_ALONE = """        IF darkroom_enqueue.account IS NULL AND coalesce(batch ->> 'account', '') = '' THEN
            SELECT array_agg(a.id ORDER BY a.pause_reason IS NOT NULL, a.name) INTO accounts FROM account a
                LEFT JOIN owner_account o ON o.owner = coalesce(nullif(batch ->> 'owner', ''), 'nobody')
                WHERE CASE WHEN batch ->> 'pool' <> '' THEN batch ->> 'pool' = ANY(a.pools)
                    WHEN o.owner IS NULL THEN true
                    ELSE a.id = o.account_id OR (o.pool = ANY(a.pools)) IS TRUE END;
            IF batch ->> 'pool' <> '' OR EXISTS (SELECT FROM owner_account o
                    WHERE o.owner = coalesce(nullif(batch ->> 'owner', ''), 'nobody')) THEN
                accounts := accounts[1:1];
            END IF;
        ELSE
            SELECT array_agg(a.id) INTO accounts FROM account a
                WHERE a.name = coalesce(darkroom_enqueue.account, batch ->> 'account');
            batch := jsonb_set(batch, '{account}',
                to_jsonb(coalesce(darkroom_enqueue.account, batch ->> 'account')));
        END IF;
        IF coalesce(cardinality(accounts), 0) <> 1 THEN
            RAISE EXCEPTION 'darkroom_enqueue: % accounts are called %', coalesce(cardinality(accounts), 0),
                coalesce(quote_literal(coalesce(darkroom_enqueue.account, nullif(batch ->> 'account', ''),
                    nullif(batch ->> 'pool', ''))), 'anything')
                USING ERRCODE = 'invalid_parameter_value', HINT = 'name one as account, or a pool as pool, in batch;'
                    ' an account is made when its first node starts. There are: '
                    || coalesce((SELECT string_agg(a.name, ', ' ORDER BY a.name) FROM account a), 'none');
        END IF;"""
# The nodes of this account take the message in; it is they who choose, of a pool, the account with the most room.
_BY_OWNER = """        DECLARE
            bound text := (SELECT p.owner FROM producer_login p WHERE p.login = session_user);
            payer text := coalesce(bound, nullif(batch ->> 'owner', ''), 'nobody');
            named text := coalesce(darkroom_enqueue.account, nullif(batch ->> 'account', ''));
            wanted text := nullif(batch ->> 'pool', '');
        BEGIN
            IF bound IS NOT NULL AND coalesce(named, wanted) IS NOT NULL THEN
                RAISE EXCEPTION 'darkroom_enqueue: % enqueues for the owner %, whose account pays', session_user,
                    quote_literal(bound)
                    USING ERRCODE = 'insufficient_privilege', HINT = 'name neither account nor pool';
            END IF;
            IF named IS NULL THEN
                SELECT array_agg(a.id ORDER BY a.pause_reason IS NOT NULL, a.name) INTO accounts FROM account a
                    LEFT JOIN owner_account o ON o.owner = payer
                    WHERE CASE WHEN wanted IS NOT NULL THEN wanted = ANY(a.pools)
                        WHEN o.owner IS NULL THEN true
                        ELSE a.id = o.account_id OR (o.pool = ANY(a.pools)) IS TRUE END;
                IF wanted IS NOT NULL OR EXISTS (SELECT FROM owner_account o WHERE o.owner = payer) THEN
                    accounts := accounts[1:1];
                END IF;
            ELSE
                SELECT array_agg(a.id) INTO accounts FROM account a WHERE a.name = named;
                batch := jsonb_set(batch, '{account}', to_jsonb(named));
            END IF;
            IF coalesce(cardinality(accounts), 0) <> 1 THEN
                RAISE EXCEPTION 'darkroom_enqueue: % accounts are called %', coalesce(cardinality(accounts), 0),
                    coalesce(quote_literal(coalesce(named, wanted)), 'anything')
                    USING ERRCODE = 'invalid_parameter_value', HINT = CASE WHEN bound IS NULL THEN
                        'name one as account, or a pool as pool, in batch;'
                        ' an account is made when its first node starts.'
                        ELSE 'an administrator sets the one of ' || bound || ': darkroom account default.' END
                        || ' There are: '
                        || coalesce((SELECT string_agg(a.name, ', ' ORDER BY a.name) FROM account a), 'none');
            END IF;
        END;"""
_SEARCH_PATH = """
DO $$ BEGIN
    EXECUTE 'ALTER FUNCTION darkroom_enqueue(jsonb, jsonb, text) SET search_path = ' || quote_ident(current_schema())
        || ', pg_temp';
END $$;
"""


def upgrade() -> None:
    _set_enqueue(_BY_OWNER)


def downgrade() -> None:
    _set_enqueue(_BY_BATCH_ALONE)


def _set_enqueue(accounts: str) -> None:
    scripts.run(_ENQUEUE.format(accounts=accounts, uuid7=_UUID7))
    scripts.run(_SEARCH_PATH)
