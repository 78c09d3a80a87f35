"""Carry the sums of the ledger forward at each month, so that a report reads no roll-up of the months before.

A month is over for good once a seal reaches into the next one: nothing is posted at or before its instant. So each
month is written once. A trigger does it when the transaction that seals ends and the roll-up is there, whoever seals:
the program, `close_books`, or a node of the version before.
"""

from collections.abc import Sequence

from migrations import rights, scripts

revision: str = "0080"
down_revision: str | None = "0079"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_TABLE = """
CREATE TABLE ledger_opening (
    month date NOT NULL,
    owner text NOT NULL,
    model text NOT NULL,
    kind text NOT NULL,
    source text NOT NULL,
    target text NOT NULL,
    entries bigint NOT NULL,
    credits bigint NOT NULL,
    CONSTRAINT pk_ledger_opening PRIMARY KEY (month, owner, model, kind, source, target),
    CONSTRAINT ck_ledger_opening_first_day CHECK (extract(day FROM month) = 1)
);
COMMENT ON COLUMN ledger_opening.month IS 'The first day of a month, UTC; the sums are those of all entries before it';
COMMENT ON COLUMN ledger_opening.owner IS 'Who answers for their batches';
COMMENT ON COLUMN ledger_opening.model IS 'The provider''s model id of what was made';
COMMENT ON COLUMN ledger_opening.kind IS 'Why they moved';
COMMENT ON COLUMN ledger_opening.source IS 'The account that has less afterwards';
COMMENT ON COLUMN ledger_opening.target IS 'The account that has more afterwards';
COMMENT ON COLUMN ledger_opening.entries IS 'How many';
COMMENT ON COLUMN ledger_opening.credits IS 'Their sum';
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger_opening
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE INDEX ix_ledger_rollup_day ON ledger_rollup (day)
    INCLUDE (seal_id, batch_id, model, kind, source, target, entries, credits);
"""
# Each month is the one before and what was rolled up in between, which is also how it is proved.
_OPEN = """
        LOOP
            SELECT max(month) INTO opened FROM ledger_opening;
            following := date_trunc('month', coalesce(opened, (SELECT min(day) FROM ledger_rollup))::timestamp)
                + interval '1 month';
            EXIT WHEN following > reached OR following IS NULL;
            INSERT INTO ledger_opening (month, owner, model, kind, source, target, entries, credits)
            SELECT following, f.owner, f.model, f.kind, f.source, f.target, sum(f.entries), sum(f.credits)
            FROM (
                SELECT owner, model, kind, source, target, entries, credits FROM ledger_opening WHERE month = opened
                UNION ALL
                SELECT b.owner, r.model, r.kind, r.source, r.target, r.entries, r.credits
                FROM ledger_rollup r JOIN batch b ON b.id = r.batch_id
                WHERE r.day >= coalesce(opened, '-infinity') AND r.day < following) f
            GROUP BY f.owner, f.model, f.kind, f.source, f.target;
        END LOOP;"""
_FUNCTION = f"""
CREATE FUNCTION open_months() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
    DECLARE
        reached date := (NEW.sealed_at AT TIME ZONE 'UTC')::date;
        opened date;
        following date;
    BEGIN{_OPEN}
        RETURN NULL;
    END $$;
DO $do$ BEGIN
    EXECUTE 'ALTER FUNCTION open_months() SET search_path = ' || quote_ident(current_schema()) || ', pg_temp';
END $do$;
REVOKE EXECUTE ON FUNCTION open_months() FROM PUBLIC;
CREATE CONSTRAINT TRIGGER months AFTER INSERT ON seal DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION open_months();
"""
_FILL = f"""
DO $$
    DECLARE
        reached date := (SELECT (max(sealed_at) AT TIME ZONE 'UTC')::date FROM seal);
        opened date;
        following date;
    BEGIN
        IF reached IS NULL THEN
            RETURN;
        END IF;{_OPEN}
    END $$;
"""  # noqa: S608 - text of this module


def upgrade() -> None:
    scripts.run(_TABLE)
    scripts.run(_FUNCTION)
    scripts.run(_FILL)
    rights.AT_0079.grant()


def downgrade() -> None:
    scripts.run("""
        DROP TRIGGER months ON seal;
        DROP FUNCTION open_months();
        DROP INDEX ix_ledger_rollup_day;
        DROP TABLE ledger_opening;""")
