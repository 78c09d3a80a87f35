"""Record every change of a hook and of a cap in the log of changes, by triggers that fire for every role.

Who and why are what the transaction says in `darkroom.actor` and `darkroom.reason`; without that, the login.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0045"
down_revision: str | None = "0044"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_TARGET = "'The name of a command that the nodes'' settings have, or the address'"

# The arguments of a trigger: how a subject begins, the column that it ends with, and the columns that are recorded. A
# secret is only said to be another one.
_RECORD = """
CREATE FUNCTION record_setting() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    DECLARE
        was jsonb := CASE WHEN TG_OP = 'INSERT' THEN '{}' ELSE to_jsonb(OLD) END;
        new_is jsonb := CASE WHEN TG_OP = 'DELETE' THEN '{}' ELSE to_jsonb(NEW) END;
        named text := TG_ARGV[0] || coalesce(new_is ->> TG_ARGV[1], was ->> TG_ARGV[1]);
        ms bytea := substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3);
        column_name text;
    BEGIN
        FOREACH column_name IN ARRAY TG_ARGV[2:] LOOP
            IF was ->> column_name IS DISTINCT FROM new_is ->> column_name THEN
                INSERT INTO change (id, subject, field, before, after, actor, reason, changed_at) VALUES (
                    encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) PLACING ms FROM 1 FOR 6), 52, 1),
                        53, 1), 'hex')::uuid,
                    named, column_name,
                    CASE WHEN column_name = 'secret' AND was ->> 'secret' IS NOT NULL THEN 'set'
                        ELSE was ->> column_name END,
                    CASE WHEN column_name = 'secret' AND new_is ->> 'secret' IS NOT NULL THEN 'set anew'
                        ELSE new_is ->> column_name END,
                    coalesce(nullif(current_setting('darkroom.actor', true), ''), session_user),
                    nullif(current_setting('darkroom.reason', true), ''),
                    coalesce(nullif(current_setting('darkroom.changed_at', true), '')::timestamptz, clock_timestamp()));
            END IF;
        END LOOP;
        RETURN NULL;
    END $$
"""

_TRIGGERS = (
    ("hook", "INSERT OR DELETE OR UPDATE", "'hook:', 'id', 'catalog_id', 'kind', 'target', 'secret', 'removed_at'"),
    ("batch", "UPDATE OF credit_cap", "'batch:', 'id', 'credit_cap'"),
    ("owner_cap", "INSERT OR DELETE OR UPDATE", "'owner:', 'owner', 'monthly_cap'"),
)

# What was there before is recorded as it is found, so that the log agrees with every hook and cap from the beginning.
_FOUND = """
INSERT INTO change (id, subject, field, before, after, actor, reason, changed_at)
SELECT gen_random_uuid(), 'hook:' || h.id, f.name, NULL, f.value, session_user,
    'it was there when changes of hooks began to be recorded', clock_timestamp()
FROM hook h CROSS JOIN LATERAL (VALUES ('catalog_id', to_jsonb(h) ->> 'catalog_id'), ('kind', h.kind),
    ('target', h.target), ('secret', CASE WHEN h.secret IS NOT NULL THEN 'set anew' END),
    ('removed_at', to_jsonb(h) ->> 'removed_at')) f (name, value)
WHERE f.value IS NOT NULL
"""


def upgrade() -> None:
    op.execute(_RECORD)
    # A temporary table called `change` must not stand before the log.
    op.execute(
        "DO $$ BEGIN EXECUTE 'ALTER FUNCTION record_setting() SET search_path = '"
        " || quote_ident(current_schema()) || ', pg_temp'; END $$"
    )
    for table, events, arguments in _TRIGGERS:
        op.execute(
            f"CREATE TRIGGER settings AFTER {events} ON {table}"
            f" FOR EACH ROW EXECUTE FUNCTION record_setting({arguments})"
        )
    op.execute(_FOUND)
    op.execute(f"COMMENT ON COLUMN hook.target IS {_TARGET}")


def downgrade() -> None:
    for table, _, _ in reversed(_TRIGGERS):
        op.execute(f"DROP TRIGGER settings ON {table}")
    op.execute("DROP FUNCTION record_setting()")
    op.execute("COMMENT ON COLUMN hook.target IS 'The command line, or the address'")
