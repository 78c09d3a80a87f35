"""A ledger of a year's size, written past the application: batches, jobs, generations, calls and entries that agree."""

from datetime import UTC, datetime
from uuid import UUID

from psycopg import connect, sql

from worker.batches.queries.job_counts import COUNTED
from worker.core.rules.states import JobState

ENTRIES_PER_JOB = 3
JOBS_PER_BATCH = 1_667
BATCHES_OF_TWO_MODELS = 20
_BEGIN = datetime(2025, 11, 1, tzinfo=UTC)
_EVERY_S = 94
"""From one image to the next: a million entries are a year."""

_STEPS = (
    """
    INSERT INTO batch (id, account_id, token, content_hash, name, owner, purpose, priority, size, has_pending, state,
        created_at, done_at, committed)
    SELECT md5('b' || n)::uuid, %(account)s, 't' || n, 'h', 'batch ' || n, 'owner ' || n %% 20, 'bulk', 'bulk',
        count(*), false, 'open', min(at), max(at) + interval '4 seconds', 4 * count(*)
    FROM (SELECT i / %(per_batch)s AS n, %(begin)s::timestamptz + i * %(every)s * interval '1 second' AS at
          FROM generate_series(0, %(jobs)s - 1) i) j GROUP BY n""",
    """
    INSERT INTO catalog (id, name, recipe, recipe_hash, review, created_at, updated_at)
    SELECT md5('c' || n)::uuid, 'catalog ' || n, '{}', 'h', 'none', %(begin)s, %(begin)s
    FROM generate_series(0, 9) n""",
    """
    INSERT INTO catalog_plan (id, catalog_id, content_hash, document, price, counts, needs_approval, made_by, made_at,
        batch_id)
    SELECT md5('p' || id)::uuid, md5('c' || right(name, 1))::uuid, 'h', '{}', 4, '{}', false, 'ann', %(begin)s, id
    FROM batch WHERE right(name, 1) < '5'""",
    """
    INSERT INTO job (id, batch_id, line, key, model, prompt, params, extra, fingerprint, price, state, generations,
        created_at, ended_at)
    SELECT md5('j' || i)::uuid, md5('b' || i / %(per_batch)s)::uuid, i, 'k' || i,
        CASE WHEN i / %(per_batch)s < %(mixed)s AND i %% 2 = 0 THEN 'z-image' ELSE 'qwen-image' END,
        'A chair', '{}', '{}', 'f', 4, 'succeeded', 1, %(begin)s,
        %(begin)s::timestamptz + i * %(every)s * interval '1 second' FROM generate_series(0, %(jobs)s - 1) i""",
    """
    INSERT INTO generation (id, job_id, batch_id, account_id, number, idempotency_key, state, held, reserved, final,
        sends, answers, polls, admitted_at, body, first_sent_at, last_sent_at, accepted_at, ended_at, provider_id)
    SELECT md5('g' || i)::uuid, md5('j' || i)::uuid, md5('b' || i / %(per_batch)s)::uuid, %(account)s, 1,
        'darkroom-' || md5('g' || i)::uuid, 'succeeded', 4, 4, 4, 1, 0, 1, at, 'x', at, at, at, at, 'task' || i
    FROM (SELECT i, %(begin)s::timestamptz + i * %(every)s * interval '1 second' AS at
          FROM generate_series(0, %(jobs)s - 1) i) n""",
    """
    INSERT INTO call (started_at, ended_at, recorded_at, account_id, generation_id, kind, send, is_late, outcome,
        http_status, code, provider_id)
    SELECT admitted_at, admitted_at, admitted_at, account_id, id, k.kind, k.send, false, 'ok', 200, k.code,
        CASE WHEN k.send = 1 THEN provider_id END
    FROM generation CROSS JOIN (VALUES ('create', 1, 'queued'), ('get', NULL, 'succeeded')) k (kind, send, code)""",
    """
    INSERT INTO result (job_id, generation_id, source_url, path, sha256, size_bytes, mime_type, width, height,
        stored_at, recorded_at)
    SELECT job_id, id, 'u', id::text, 'h', 1, 'image/png', 1, 1, ended_at, ended_at FROM generation""",
    """
    INSERT INTO credit_entry (batch_id, generation_id, kind, source, target, credits, posted_at)
    SELECT g.batch_id, g.id, k.kind, k.source, k.target, 4, g.admitted_at + k.after_s * interval '1 second'
    FROM generation g CROSS JOIN (VALUES ('hold', 'cap', 'held', 0), ('reserve', 'held', 'reserved', 1),
        ('settle', 'reserved', 'spent', 4)) k (kind, source, target, after_s)
    ORDER BY g.admitted_at, k.after_s""",
    """
    INSERT INTO owner_month (owner, month, committed)
    SELECT b.owner, date_trunc('month', g.admitted_at AT TIME ZONE 'UTC')::date, sum(4)
    FROM generation g JOIN batch b ON b.id = g.batch_id GROUP BY 1, 2""",
    """
    INSERT INTO wallet_reading (id, account_id, credits, read_at, recorded_at)
    SELECT md5('w' || h)::uuid, %(account)s, 2000000000 - 4 * (h * 3600 / %(every)s + 1), at, at
    FROM (SELECT h, %(begin)s::timestamptz + (h * 3600 + 50) * interval '1 second' AS at
          FROM generate_series(0, %(jobs)s::bigint * %(every)s / 3600) h) n""",
)


# What the triggers would have written, which are off here.
RECOUNT = f"""
    WITH gone AS (DELETE FROM job_count)
    INSERT INTO job_count (batch_id, {", ".join(JobState)})
    SELECT batch_id, {COUNTED} FROM job GROUP BY batch_id"""  # noqa: S608 - names of states


def fill(
    url: str,
    *,
    account_id: UUID,
    entries: int,
    per_batch: int = JOBS_PER_BATCH,
    every_s: int = _EVERY_S,
    begin: datetime = _BEGIN,
) -> None:
    """Leave the database with so many entries, unsealed, in about a minute for a million."""
    values = {
        "account": account_id,
        "begin": begin,
        "every": every_s,
        "jobs": entries // ENTRIES_PER_JOB,
        "per_batch": per_batch,
        "mixed": BATCHES_OF_TWO_MODELS,
    }
    with connect(url.replace("+psycopg", "", 1), autocommit=True) as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute("SET synchronous_commit = off")
        for step in _STEPS:
            admin.execute(sql.SQL(step), values)
        admin.execute(RECOUNT)
        admin.execute("VACUUM ANALYZE")
