"""Spread the jobs of one batch over the accounts of a pool; a job stays with the account that begins it.

The accounts of such a batch are rows, written with it. Its credits by account are added up beside the roll-up of each
seal, so that a report per account reads no entries that are sealed. The account of a job has no foreign key, which
would cost each admission: its generations have one, and a proof compares the two.
"""

from collections.abc import Sequence

from migrations import rights, scripts

revision: str = "0079"
down_revision: str | None = "0078"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_UP = """
ALTER TABLE batch ADD COLUMN pool text;
COMMENT ON COLUMN batch.account_id IS 'Who pays for it; of a pool the account that keeps its deadline';
COMMENT ON COLUMN batch.pool IS 'Over whose accounts its jobs are spread; NULL: one account pays for all';
CREATE INDEX ix_batch_pooled ON batch (id) WHERE pool IS NOT NULL AND has_pending;
COMMENT ON COLUMN owner_account.pool IS 'Over whose accounts their jobs are spread';

ALTER TABLE job ADD COLUMN account_id uuid;
COMMENT ON COLUMN job.account_id IS
    'In a batch of a pool the account that began it and makes all its attempts; NULL: none yet, or its batch''s';

CREATE TABLE batch_account (
    batch_id uuid NOT NULL,
    account_id uuid NOT NULL,
    CONSTRAINT pk_batch_account PRIMARY KEY (batch_id, account_id),
    CONSTRAINT fk_batch_account_batch_id FOREIGN KEY (batch_id) REFERENCES batch (id),
    CONSTRAINT fk_batch_account_account_id FOREIGN KEY (account_id) REFERENCES account (id)
);
COMMENT ON COLUMN batch_account.batch_id IS 'A batch whose jobs are spread over a pool';
COMMENT ON COLUMN batch_account.account_id IS 'One that was of its pool when it was submitted';
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON batch_account
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE pool_rollup (
    batch_id uuid NOT NULL,
    account_id uuid NOT NULL,
    seal_id bigint NOT NULL,
    day date NOT NULL,
    kind text NOT NULL,
    source text NOT NULL,
    target text NOT NULL,
    entries bigint NOT NULL,
    credits bigint NOT NULL,
    CONSTRAINT pk_pool_rollup PRIMARY KEY (batch_id, account_id, seal_id, day, kind, source, target),
    CONSTRAINT fk_pool_rollup_seal_id FOREIGN KEY (seal_id) REFERENCES seal (id)
);
COMMENT ON COLUMN pool_rollup.seal_id IS 'The seal that binds them';
COMMENT ON COLUMN pool_rollup.day IS 'UTC date on which they were posted';
COMMENT ON COLUMN pool_rollup.batch_id IS 'A batch whose jobs are spread over a pool';
COMMENT ON COLUMN pool_rollup.account_id IS 'The account of their generations';
COMMENT ON COLUMN pool_rollup.kind IS 'Why they moved';
COMMENT ON COLUMN pool_rollup.source IS 'The account that has less afterwards';
COMMENT ON COLUMN pool_rollup.target IS 'The account that has more afterwards';
COMMENT ON COLUMN pool_rollup.entries IS 'How many';
COMMENT ON COLUMN pool_rollup.credits IS 'Their sum';
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON pool_rollup
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""
# A batch of a pool is its own account's again. What others have made stays theirs: the proof that a generation has the
# account of its batch, as it was before, names it.
_DOWN = """
DROP TABLE pool_rollup;
DROP TABLE batch_account;
ALTER TABLE job DROP COLUMN account_id;
DROP INDEX ix_batch_pooled;
ALTER TABLE batch DROP COLUMN pool;
COMMENT ON COLUMN batch.account_id IS 'Who pays for it';
COMMENT ON COLUMN owner_account.pool IS 'Of whose accounts the one with the most room pays';
"""

_ESCAPES = {8: "b", 12: "f", 10: "n", 13: "r", 9: "t", 11: "v"}


def _copied(column: str) -> str:
    """Return a text as COPY writes it, which is how entries are hashed (migration 0047)."""
    escaped = rf"replace({column}, '\', '\\')"
    for code, letter in _ESCAPES.items():
        escaped = rf"replace({escaped}, chr({code}), '\{letter}')"
    return rf"coalesce({escaped}, '\N')"


_CLOSE = f"""
CREATE OR REPLACE FUNCTION close_books() RETURNS timestamptz
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
    DECLARE
        newest seal;
        latest timestamptz;
        closes_at timestamptz;
        found record;
        facts bytea;
        is_first boolean := true;
    BEGIN
        PERFORM set_config('lock_timeout', '2s', true);
        LOCK TABLE credit_entry IN SHARE ROW EXCLUSIVE MODE;
        SELECT * INTO newest FROM seal ORDER BY id DESC LIMIT 1;
        newest.id := coalesce(newest.id, 0);
        SELECT max(posted_at) INTO latest FROM credit_entry WHERE newest.hash IS NULL OR id > newest.last_entry_id;
        SELECT hash INTO facts FROM seal_fact ORDER BY seal_id DESC LIMIT 1;
        closes_at := greatest(clock_timestamp(), latest, newest.sealed_at);
        LOOP
            SELECT count(*) AS entries, min(e.id) AS first, max(e.id) AS last, coalesce(sum(e.credits), 0)::bigint
                AS credits, coalesce(string_agg(int8send(e.id) || substring(sha256(convert_to(e.line, 'UTF8'))
                    FROM 1 FOR 16), '' ORDER BY e.id), '') AS digests
                INTO found
                FROM (
                    SELECT id, credits, concat_ws(E'\\t', id, batch_id, generation_id, kind, source, target, credits,
                        {_copied("actor")}, {_copied("reason")},
                        trunc(extract(epoch FROM posted_at) * 1000000)) AS line
                    FROM credit_entry WHERE newest.hash IS NULL OR id > newest.last_entry_id
                    ORDER BY id LIMIT 100000) e;
            EXIT WHEN found.entries = 0 AND NOT is_first;
            is_first := false;
            newest.previous_hash := coalesce(newest.hash, decode(repeat('00', 32), 'hex'));
            newest.id := newest.id + 1;
            newest.sealed_at := closes_at;
            newest.last_entry_id := coalesce(found.last, newest.last_entry_id, 0);
            newest.entries := found.entries;
            newest.credits := found.credits;
            newest.digests := found.digests;
            newest.hash := sha256(convert_to(concat_ws(E'\\n',
                CASE WHEN facts IS NULL THEN 'darkroom seal 1' ELSE 'darkroom seal 2' END, newest.id,
                trunc(extract(epoch FROM closes_at) * 1000000), newest.last_entry_id, newest.entries, newest.credits,
                encode(facts, 'hex'), ''), 'UTF8') || newest.previous_hash || newest.digests);
            INSERT INTO seal (id, sealed_at, last_entry_id, entries, credits, digests, previous_hash, hash, facts_hash)
                VALUES (newest.id, newest.sealed_at, newest.last_entry_id, newest.entries, newest.credits,
                    newest.digests, newest.previous_hash, newest.hash, facts);
            INSERT INTO ledger_rollup (seal_id, day, batch_id, model, kind, source, target, entries, credits)
                SELECT newest.id, (e.posted_at AT TIME ZONE 'UTC')::date, e.batch_id, j.model, e.kind, e.source,
                    e.target, count(*), sum(e.credits)
                FROM credit_entry e JOIN generation g ON g.id = e.generation_id JOIN job j ON j.id = g.job_id
                WHERE e.id BETWEEN found.first AND found.last GROUP BY 2, 3, 4, 5, 6, 7;{{pools}}
        END LOOP;
        RETURN closes_at;
    END $$;
DO $$ BEGIN
    EXECUTE 'ALTER FUNCTION close_books() SET search_path = ' || quote_ident(current_schema()) || ', pg_temp';
END $$;
"""  # noqa: S608 - the columns are those above
_POOLS = """
            INSERT INTO pool_rollup (seal_id, day, batch_id, account_id, kind, source, target, entries, credits)
                SELECT newest.id, (e.posted_at AT TIME ZONE 'UTC')::date, e.batch_id, g.account_id, e.kind, e.source,
                    e.target, count(*), sum(e.credits)
                FROM credit_entry e JOIN generation g ON g.id = e.generation_id
                JOIN batch b ON b.id = e.batch_id AND b.pool IS NOT NULL
                WHERE e.id BETWEEN found.first AND found.last GROUP BY 2, 3, 4, 5, 6, 7;"""


def upgrade() -> None:
    scripts.run(_UP)
    scripts.run(_CLOSE.format(pools=_POOLS))
    rights.AT_0079.grant()


def downgrade() -> None:
    scripts.run(_CLOSE.format(pools=""))
    scripts.run(_DOWN)
    rights.AT_0078.grant()
