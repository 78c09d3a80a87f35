"""Let a role without rights to write close the books: a function seals as the program does, by the server's clock."""

from collections.abc import Sequence

from alembic import op

revision: str = "0047"
down_revision: str | None = "0046"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


_ESCAPES = {8: "b", 12: "f", 10: "n", 13: "r", 9: "t", 11: "v"}


def _copied(column: str) -> str:
    """Return a text as COPY writes it, which is how entries are hashed (worker.audit.queries.seals)."""
    escaped = rf"replace({column}, '\', '\\')"
    for code, letter in _ESCAPES.items():
        escaped = rf"replace({escaped}, chr({code}), '\{letter}')"
    return rf"coalesce({escaped}, '\N')"


_CLOSE = f"""
CREATE FUNCTION close_books() RETURNS timestamptz
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
                WHERE e.id BETWEEN found.first AND found.last GROUP BY 2, 3, 4, 5, 6, 7;
        END LOOP;
        RETURN closes_at;
    END $$
"""  # noqa: S608 - the columns are those above


def upgrade() -> None:
    op.execute(_CLOSE)
    op.execute(
        "DO $$ BEGIN EXECUTE 'ALTER FUNCTION close_books() SET search_path = '"
        " || quote_ident(current_schema()) || ', pg_temp'; END $$"
    )
    op.execute("REVOKE EXECUTE ON FUNCTION close_books() FROM PUBLIC")


def downgrade() -> None:
    op.execute("DROP FUNCTION close_books()")
