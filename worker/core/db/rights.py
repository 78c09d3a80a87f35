"""What the application may do in the database: post, but never change what was posted."""

from typing import Any

from worker.core.db.proofs import Proof

ROLE = "darkroom_app"
"""The role that every connection works as; the migrations make it and give it its rights."""

UPDATED = {
    "api_token": "revoked_at, used_at",
    "app_user": "disabled_at, roles",
    "account": (
        "base_url, binding, blocked_until, bound_at, class_times, closed_at, collected_at, is_rate_learned, "
        "key_mark, max_in_flight, max_in_flight_setting, next_slot_at, owner_times, pause_message, "
        "pause_reason, paused_at, pools, probe_at, probes, raised_at, rate, rate_setting, read_class_times, "
        "read_next_slot_at, read_rate, read_rate_setting, refused_rate, resumed_at, saturation, "
        "store_failed_at, store_id, store_place, throttled_at, wallet_left, wallet_read_at"
    ),
    "approval": "approved_at, approved_by",
    "batch": "committed, credit_cap, deadline_at, done_at, has_pending, priority, state, token, virtual_time, weight",
    "bulk_operation": "ended_at, started_at, state",
    "bulk_operation_item": "detail, done_at, effect, state",
    "catalog": (
        "approve_above_credits, approve_above_share, credit_cap, recipe, recipe_hash, removed_at, removed_by, "
        "review, updated_at"
    ),
    "catalog_claim": "actor, lease_until",
    "catalog_decision": "ended_at, ended_by, outcome",
    "catalog_item": (
        "changed_at, edited_from, edited_prompt, fields, further_references, kept_fingerprint, "
        "live_render_id, position, reference_hash, rejected_at, removed_at"
    ),
    "catalog_plan": (
        "applied_at, approved_at, approved_by, batch_id, refused_at, refused_by, refused_reason, "
        "sample_batch_id, sampled_at"
    ),
    "catalog_render": "decided_at, decided_by, needs_review, rendered_at, state",
    "dropped_message": "last_at, last_reason, messages",
    "event": "data, relayed_at",
    "failed_attempt": "is_counted, is_excused",
    "generation": (
        "accepted_at, answers, binding, body, ended_at, error_code, error_message, final, first_sent_at, "
        "last_sent_at, polls, provider_id, recalls, request_id, reserved, result_url, sends, state, took_ms, "
        "unreadable_sha256, unreadable_times"
    ),
    "hook": "disabled_at, disabled_reason, failing_since, leased_until, removed_at, rotated_at, secret, took_s",
    "hook_delivery": ("attempts, delivered_at, due_at, failures, given_up_at, last_error, response, status, tried_at"),
    "job": "account_id, ended_at, failure_code, failure_message, failures, generations, request_id, state",
    "latency": "counts, updated_at",
    "maintenance": "done_at, due_at, error, every_s, last_run_at",
    "model_pause": "message, paused_at, probe_at, probes, resumed_at, status",
    "model_price": "reserved, seen_at",
    "node": "clock_offset_s, error, last_round_at, seen_at",
    "owner_account": "account_id, pool",
    "owner_cap": "monthly_cap",
    "owner_month": "committed",
    "prompt_failure": "failures, first_failed_at, last_code, last_failed_at",
    "provider_health": (
        "began_at, canaries_passed, canary_at, canary_job_id, create_began_at, create_failed, create_score, "
        "create_succeeded, create_usual, failed, given_back, lost_creates, proved_at, recovered_at, score, succeeded, "
        "usual"
    ),
    "reference": "erased_at, name",
    "schedule": "counts_from, created_by, credit_cap, cron, missed, overlap, paused_at, removed_at, tz",
    "schedule_run": (
        "batch_id, checked_at, due_at, ended_at, lease_until, outcome, plan_id, spent, stale_plans, started_at, state"
    ),
    "sign_in_link": "used_at",
    "step": "attempts, crashes, due_at, error, fence, hinted_at, hints, kind, lease_until, looked_at, polls, since",
    "unneeded_file": "noted_at",
    "upload": "lease_until, provider_id, uploaded_at, url",
    "web_session": "seen_at",
    "webhook_count": "count, last_at",
    "webhook_delay": "counts, missed, missed_in_row, updated_at",
    "webhook_endpoint": "last_received_at, provider_id, removed_at, secret",
    "waiting_message": "due_at, fence, received_at, tries",
}
"""Of each table the columns that the program sets in rows that are there (migration 0049 grants them)."""

DELETED = (
    "catalog_claim",
    "event",
    "failed_attempt",
    "feed_event",
    "hook_delivery",
    "job_count",
    "node",
    "owner_account",
    "owner_cap",
    "prompt_failure",
    "sign_in_link",
    "step",
    "unneeded_file",
    "upload",
    "waiting_message",
    "web_session",
)
"""The tables from which the program deletes rows."""

# Before version 16 every member of a role could take it on; since then the grant says so.
_TAKE_ROLE = f"""
    SELECT set_config('role', rolname, {{is_local}}) FROM pg_roles WHERE rolname = '{ROLE}' AND pg_has_role(
        oid, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)"""

TAKE_ROLE = _TAKE_ROLE.format(is_local="false")
TAKE_ROLE_LOCALLY = _TAKE_ROLE.format(is_local="true")
"""For one transaction: behind a pooler a session is given to others."""

_COLUMNS = ", ".join(f"('{table}', '{columns}')" for table, columns in UPDATED.items())
_DELETED = ", ".join(f"'{table}'" for table in DELETED)

# An auditor's connection proves the application's rights beside its own.
_TOO_MANY = f"""
    WITH role (name) AS (SELECT current_user::text UNION SELECT rolname::text FROM pg_roles WHERE rolname = '{ROLE}'),
    ours AS (SELECT oid, relname::text AS name FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')),
    permitted AS (SELECT t.name, string_to_array(t.columns, ', ') AS columns FROM (VALUES {_COLUMNS}) t (name, columns))
    SELECT o.name AS "table", r.name AS "right", role.name AS role, r.columns
    FROM ours o CROSS JOIN role CROSS JOIN LATERAL (
        SELECT w.name, NULL::text AS columns FROM (VALUES ('TRUNCATE'), ('TRIGGER'), ('REFERENCES'), ('DELETE'),
                ('INSERT')) w (name)
            WHERE has_table_privilege(role.name, o.oid, w.name) AND NOT (w.name = 'DELETE' AND o.name IN ({_DELETED}))
                AND NOT (w.name = 'INSERT' AND o.name <> 'alembic_version')
        UNION ALL
        SELECT 'UPDATE', string_agg(a.attname, ', ' ORDER BY a.attname) FROM pg_attribute a
            WHERE a.attrelid = o.oid AND a.attnum > 0 AND NOT a.attisdropped
                AND has_column_privilege(role.name, o.oid, a.attnum, 'UPDATE')
                AND NOT EXISTS (SELECT FROM permitted p WHERE p.name = o.name AND a.attname = ANY(p.columns))
            HAVING count(*) > 0) r
    UNION ALL
    SELECT 'schema ' || current_schema(), 'CREATE', role.name, NULL FROM role
    WHERE has_schema_privilege(role.name, current_schema(), 'CREATE')
    UNION ALL
    SELECT 'role', 'SUPERUSER or BYPASSRLS', p.rolname, NULL FROM pg_roles p JOIN role ON role.name = p.rolname
    WHERE p.rolsuper OR p.rolbypassrls"""

PROOFS: tuple[Proof, ...] = (
    Proof(
        name="rights",
        rule="the application may set and delete what its statements do, and has no other right to change anything",
        query=f"""
            SELECT t.*, CASE WHEN t."right" = 'CREATE' AND t.role = '{ROLE}'
                THEN 'as an administrator: REVOKE CREATE ON SCHEMA ' || quote_ident(current_schema()) || ' FROM PUBLIC'
                ELSE 'as an administrator: CREATE ROLE {ROLE}; GRANT {ROLE} TO ' || session_user
                || '; and as the owner of the tables: SELECT grant_application_rights()' END AS next_step
            FROM ({_TOO_MANY}) t""",
    ),
)


def take_role(driver_connection: Any) -> None:
    """Let a new connection in autocommit mode work as the application's role, where its user may take that on."""
    driver_connection.execute(TAKE_ROLE)
