"""Count the jobs of a batch by state as they change, so that nothing has to read all of them to know."""

from collections.abc import Sequence

from migrations import rights, scripts

revision: str = "0078"
down_revision: str | None = "0077"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_TABLE = """
CREATE TABLE job_count (
    batch_id uuid NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    pending integer NOT NULL,
    active integer NOT NULL,
    succeeded integer NOT NULL,
    failed integer NOT NULL,
    in_doubt integer NOT NULL,
    cancelled integer NOT NULL,
    CONSTRAINT pk_job_count PRIMARY KEY (batch_id, id)
);
"""
_STATES = ("pending", "active", "succeeded", "failed", "in_doubt", "cancelled")
_COMMENTS = {
    "batch_id": "Whose jobs",
    "id": "Number of the change",
    **dict.fromkeys(_STATES, "By how many the jobs in this state became more, or fewer (below 0)"),
}
# A row for each statement and batch, and never an update: no two transactions wait for each other.
_FUNCTION = """
CREATE FUNCTION count_jobs() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            INSERT INTO job_count (batch_id, pending, active, succeeded, failed, in_doubt, cancelled)
            SELECT batch_id, count(*) FILTER (WHERE state = 'pending'), count(*) FILTER (WHERE state = 'active'),
                count(*) FILTER (WHERE state = 'succeeded'), count(*) FILTER (WHERE state = 'failed'),
                count(*) FILTER (WHERE state = 'in_doubt'), count(*) FILTER (WHERE state = 'cancelled')
            FROM added GROUP BY batch_id;
        ELSIF TG_OP = 'DELETE' THEN
            INSERT INTO job_count (batch_id, pending, active, succeeded, failed, in_doubt, cancelled)
            SELECT batch_id, -count(*) FILTER (WHERE state = 'pending'), -count(*) FILTER (WHERE state = 'active'),
                -count(*) FILTER (WHERE state = 'succeeded'), -count(*) FILTER (WHERE state = 'failed'),
                -count(*) FILTER (WHERE state = 'in_doubt'), -count(*) FILTER (WHERE state = 'cancelled')
            FROM removed GROUP BY batch_id;
        ELSE
            INSERT INTO job_count (batch_id, pending, active, succeeded, failed, in_doubt, cancelled)
            SELECT batch_id, coalesce(sum(jobs) FILTER (WHERE state = 'pending'), 0),
                coalesce(sum(jobs) FILTER (WHERE state = 'active'), 0),
                coalesce(sum(jobs) FILTER (WHERE state = 'succeeded'), 0),
                coalesce(sum(jobs) FILTER (WHERE state = 'failed'), 0),
                coalesce(sum(jobs) FILTER (WHERE state = 'in_doubt'), 0),
                coalesce(sum(jobs) FILTER (WHERE state = 'cancelled'), 0)
            FROM (
                SELECT batch_id, state, sum(jobs) AS jobs FROM (
                    SELECT batch_id, state, 1 AS jobs FROM added
                    UNION ALL SELECT batch_id, state, -1 FROM removed) each_job
                GROUP BY batch_id, state HAVING sum(jobs) <> 0) changed
            GROUP BY batch_id;
        END IF;
        RETURN NULL;
    END $$;

DO $do$ BEGIN
    EXECUTE 'ALTER FUNCTION count_jobs() SET search_path = ' || quote_ident(current_schema()) || ', pg_temp';
END $do$;

CREATE TRIGGER count_added AFTER INSERT ON job REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION count_jobs();
CREATE TRIGGER count_changed AFTER UPDATE ON job REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION count_jobs();
CREATE TRIGGER count_removed AFTER DELETE ON job REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION count_jobs();

INSERT INTO job_count (batch_id, pending, active, succeeded, failed, in_doubt, cancelled)
SELECT batch_id, count(*) FILTER (WHERE state = 'pending'), count(*) FILTER (WHERE state = 'active'),
    count(*) FILTER (WHERE state = 'succeeded'), count(*) FILTER (WHERE state = 'failed'),
    count(*) FILTER (WHERE state = 'in_doubt'), count(*) FILTER (WHERE state = 'cancelled')
FROM job GROUP BY batch_id;
"""


def upgrade() -> None:
    scripts.run(_TABLE)
    for column, comment in _COMMENTS.items():
        scripts.run(f"COMMENT ON COLUMN job_count.{column} IS '{comment}';")
    scripts.run(_FUNCTION)
    rights.AT_0078.grant()


def downgrade() -> None:
    scripts.run("""
        DROP TRIGGER count_added ON job;
        DROP TRIGGER count_changed ON job;
        DROP TRIGGER count_removed ON job;
        DROP FUNCTION count_jobs();
        DROP TABLE job_count;""")
    rights.AT_0075.grant()
