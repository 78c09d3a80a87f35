"""Bind logins that enqueue by SQL to an owner and a priority."""

from collections.abc import Sequence

from migrations import rights, scripts

revision: str = "0064"
down_revision: str | None = "0063"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_LOGINS = """
CREATE TABLE producer_login (
    login text NOT NULL,
    owner text NOT NULL,
    max_priority text,
    CONSTRAINT pk_producer_login PRIMARY KEY (login),
    CONSTRAINT ck_producer_login_max_priority_known CHECK (max_priority IN ('interactive', 'refresh', 'bulk'))
);
COMMENT ON COLUMN producer_login.login IS 'The database''s user, a member of darkroom_producer';
COMMENT ON COLUMN producer_login.owner IS 'For whom it enqueues, and whose batches it sees';
COMMENT ON COLUMN producer_login.max_priority IS 'The highest class that it may ask for; NULL: any';
CREATE TRIGGER settings AFTER INSERT OR DELETE OR UPDATE ON producer_login
    FOR EACH ROW EXECUTE FUNCTION record_setting('producer:', 'login', 'owner', 'max_priority');
"""
# A message of darkroom_enqueue is written by the function's owner, for the login that began the session.
_BIND = """
CREATE FUNCTION bind_producer() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    DECLARE
        bound producer_login;
        message jsonb;
        batch jsonb;
        wanted text;
    BEGIN
        SELECT * INTO bound FROM producer_login WHERE login = session_user;
        IF NOT FOUND THEN
            RETURN NEW;
        END IF;
        message := convert_from(NEW.body, 'UTF8')::jsonb;
        batch := message #> '{0,0}';
        wanted := coalesce(nullif(batch ->> 'priority', ''), batch ->> 'purpose');
        IF coalesce(nullif(batch ->> 'owner', ''), bound.owner) <> bound.owner THEN
            RAISE EXCEPTION 'darkroom_enqueue: % enqueues for the owner % and no other', session_user,
                quote_literal(bound.owner) USING ERRCODE = 'insufficient_privilege';
        END IF;
        -- As in the rules of batches: the class by its name, its digit or the purpose; all else is a fault there.
        IF (CASE WHEN wanted IN ('interactive', 'single') OR wanted ~ '^[7-9]$' THEN 3
                WHEN wanted = 'refresh' OR wanted ~ '^[4-6]$' THEN 2 ELSE 1 END)
            > (CASE bound.max_priority WHEN 'bulk' THEN 1 WHEN 'refresh' THEN 2 ELSE 3 END) THEN
            RAISE EXCEPTION 'darkroom_enqueue: % may ask for the priority % at most', session_user, bound.max_priority
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        NEW.body := convert_to(jsonb_set(message, '{0,0,owner}', to_jsonb(bound.owner))::text, 'UTF8');
        NEW.sha256 := encode(sha256(NEW.body), 'hex');
        RETURN NEW;
    END $$;
CREATE TRIGGER bound BEFORE INSERT ON waiting_message
    FOR EACH ROW EXECUTE FUNCTION bind_producer();
"""
_STATUS = """
CREATE OR REPLACE FUNCTION darkroom_batch(token text) RETURNS jsonb
    LANGUAGE sql STABLE SECURITY DEFINER
    AS $$
        SELECT coalesce(
            (SELECT jsonb_build_object('token', b.token, 'id', b.id, 'state', b.state, 'size', b.size,
                'jobs', (SELECT coalesce(jsonb_object_agg(j.state, j.count), '{{}}') FROM (
                    SELECT state, count(*) AS count FROM job WHERE batch_id = b.id GROUP BY state) j),
                'faults', (SELECT coalesce(jsonb_agg(jsonb_build_object('line', l.line, 'field', l.field,
                        'reason', l.reason) ORDER BY l.line, l.id), '[]') FROM (
                    SELECT * FROM refused_line WHERE batch_id = b.id ORDER BY line, id LIMIT 100) l))
            FROM batch b WHERE b.token = darkroom_batch.token{of_batch}),
            (SELECT jsonb_build_object('token', darkroom_batch.token, 'state', 'waiting') FROM waiting_message
            WHERE name = 'sql:' || darkroom_batch.token{of_message} LIMIT 1))
    $$;
"""
_BOUND = """
                AND NOT EXISTS (SELECT FROM producer_login p WHERE p.login = session_user AND p.owner <> {owner})"""
_OF_BATCH = _BOUND.format(owner="b.owner")
_OF_MESSAGE = _BOUND.format(owner="coalesce(convert_from(body, 'UTF8')::jsonb #>> '{0,0,owner}', '')")
_SEARCH_PATH = """
DO $$ BEGIN
    EXECUTE 'ALTER FUNCTION {function} SET search_path = ' || quote_ident(current_schema()) || ', pg_temp';
END $$;
"""
_DOWN = """
DROP TRIGGER bound ON waiting_message;
DROP FUNCTION bind_producer();
DROP TABLE producer_login;
"""


def upgrade() -> None:
    scripts.run(_LOGINS)
    scripts.run(_BIND)
    scripts.run(_SEARCH_PATH.format(function="bind_producer()"))
    _set_status(of_batch=_OF_BATCH, of_message=_OF_MESSAGE)
    rights.AT_0063.grant()


def downgrade() -> None:
    _set_status(of_batch="", of_message="")
    scripts.run(_DOWN)
    rights.AT_0063.grant()


def _set_status(*, of_batch: str, of_message: str) -> None:
    scripts.run(_STATUS.format(of_batch=of_batch, of_message=of_message))
    scripts.run(_SEARCH_PATH.format(function="darkroom_batch(text)"))
