"""Let batches name their account or a pool of accounts, and owners have a usual one."""

from collections.abc import Sequence

from migrations import rights, scripts

revision: str = "0069"
down_revision: str | None = "0067"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_UP = """
ALTER TABLE account ADD COLUMN pools text[] DEFAULT '{}'::text[] NOT NULL;
COMMENT ON COLUMN account.pools IS 'The pools that it belongs to, as its nodes say';

CREATE TABLE owner_account (
    owner text NOT NULL,
    account_id uuid,
    pool text,
    CONSTRAINT pk_owner_account PRIMARY KEY (owner),
    CONSTRAINT fk_owner_account_account_id FOREIGN KEY (account_id) REFERENCES account (id),
    CONSTRAINT ck_owner_account_one_of_both CHECK (num_nonnulls(account_id, pool) = 1)
);
COMMENT ON COLUMN owner_account.owner IS 'As batches name it';
COMMENT ON COLUMN owner_account.account_id IS 'That pays; NULL: one of a pool';
COMMENT ON COLUMN owner_account.pool IS 'Of whose accounts the one with the most room pays';
"""
_DOWN = """
DROP TABLE owner_account;
ALTER TABLE account DROP COLUMN pools;
"""
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

# Until then there was one account: the batch names none, and a second one had to be named by the argument.
_BY_ARGUMENT = """        SELECT array_agg(a.id) INTO accounts FROM account a
            WHERE darkroom_enqueue.account IS NULL OR a.name = darkroom_enqueue.account;
        IF coalesce(cardinality(accounts), 0) <> 1 THEN
            RAISE EXCEPTION 'darkroom_enqueue: % accounts are called %', coalesce(cardinality(accounts), 0),
                coalesce(quote_literal(darkroom_enqueue.account), 'anything')
                USING ERRCODE = 'invalid_parameter_value',
                    HINT = 'name one as the third argument; an account is made when its first node starts';
        END IF;"""
# The nodes of this account take the message in; it is they who choose, of a pool, the account with the most room.
_BY_BATCH = """        IF darkroom_enqueue.account IS NULL AND coalesce(batch ->> 'account', '') = '' THEN
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
_SEARCH_PATH = """
DO $$ BEGIN
    EXECUTE 'ALTER FUNCTION darkroom_enqueue(jsonb, jsonb, text) SET search_path = ' || quote_ident(current_schema())
        || ', pg_temp';
END $$;
"""


def upgrade() -> None:
    scripts.run(_UP)
    _set_enqueue(_BY_BATCH)
    rights.AT_0069.grant()


def downgrade() -> None:
    _set_enqueue(_BY_ARGUMENT)
    scripts.run(_DOWN)
    rights.AT_0066.grant()


def _set_enqueue(accounts: str) -> None:
    scripts.run(_ENQUEUE.format(accounts=accounts, uuid7=_UUID7))
    scripts.run(_SEARCH_PATH)
