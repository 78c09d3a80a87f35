"""The rights of the roles at each migration: what `grant_application_rights` gives from then on.

A migration that makes a table, or lets the application do more, adds one line at the end and calls `grant`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from alembic import op

from migrations import scripts


@dataclass(frozen=True, kw_only=True)
class Rights:
    """What the application may do, and what an auditor may not read."""

    updated: Mapping[str, str]
    """By table, the columns that the application may set in rows that are there, with commas."""
    inserted: str
    """The tables into which the application inserts, with spaces."""
    deleted: str
    """The tables from which it deletes."""
    hidden: Mapping[str, str]
    """By table, the column that an auditor may not read."""
    filled: Mapping[str, str]
    """By table, the column that the server fills in: the application inserts the others."""
    called: tuple[str, ...] = ()
    """Functions that the application may call, beside ``lock_ledger``."""

    def plus(
        self,
        *,
        updated: Mapping[str, str] | None = None,
        inserted: str = "",
        deleted: str = "",
        hidden: Mapping[str, str] | None = None,
        called: tuple[str, ...] = (),
    ) -> "Rights":
        """Return these rights with more; the columns of ``updated`` come to those that are there."""
        columns = dict(self.updated)
        for table, more in (updated or {}).items():
            columns[table] = ", ".join(filter(None, (columns.get(table), more)))
        return Rights(
            updated=columns,
            inserted=f"{self.inserted} {inserted}".strip(),
            deleted=f"{self.deleted} {deleted}".strip(),
            hidden={**self.hidden, **(hidden or {})},
            filled=self.filled,
            called=(*self.called, *called),
        )

    def renamed(self, *, tables: Mapping[str, str], columns: Mapping[str, Mapping[str, str]]) -> "Rights":
        """Return the same rights under new names of tables, and of columns by the table that has them."""

        def name(table: str) -> str:
            return tables.get(table, table)

        def listed(table: str, names: str) -> str:
            return ", ".join(columns.get(table, {}).get(each, each) for each in names.split(", "))

        return Rights(
            updated={name(table): listed(table, names) for table, names in self.updated.items()},
            inserted=" ".join(map(name, self.inserted.split())),
            deleted=" ".join(map(name, self.deleted.split())),
            hidden={name(table): listed(table, column) for table, column in self.hidden.items()},
            filled={name(table): listed(table, column) for table, column in self.filled.items()},
            called=self.called,
        )

    def grant(self) -> None:
        """Make the function that gives exactly these, and call it."""
        values = {
            "@UPDATED": json.dumps(self.updated),
            "@INSERTED": self.inserted,
            "@DELETED": self.deleted,
            "@HIDDEN": json.dumps(self.hidden),
            "@FILLED": json.dumps(self.filled),
            "@CALLED": "".join(f"\n        GRANT EXECUTE ON FUNCTION {each} TO darkroom_app;" for each in self.called),
        }
        statement = _GRANT
        for name, value in values.items():
            statement = statement.replace(name, value)
        scripts.run(statement)
        op.execute("SELECT grant_application_rights()")


_GRANT = """
CREATE OR REPLACE FUNCTION grant_application_rights() RETURNS boolean
    LANGUAGE plpgsql
    AS $$
    DECLARE
        each record;
        role_name text;
        taking text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
        updated jsonb := '@UPDATED';
        inserted text[] := string_to_array('@INSERTED', ' ');
        deleted text[] := string_to_array('@DELETED', ' ');
        hidden jsonb := '@HIDDEN';
        filled jsonb := '@FILLED';
        columns text;
    BEGIN
        FOREACH role_name IN ARRAY ARRAY['darkroom_app', 'darkroom_audit'] LOOP
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
                BEGIN
                    EXECUTE 'CREATE ROLE ' || role_name || ' NOLOGIN';
                EXCEPTION
                    WHEN insufficient_privilege THEN
                        RAISE NOTICE 'role % is missing and % may not make it. As an administrator: CREATE ROLE %;'
                            ' then as the owner of the tables: SELECT grant_application_rights()',
                            role_name, current_user, role_name;
                        IF role_name = 'darkroom_app' THEN
                            RETURN false;
                        END IF;
                    WHEN duplicate_object OR unique_violation THEN NULL;
                END;
            END IF;
        END LOOP;
        IF NOT pg_has_role('darkroom_app', taking) THEN
            BEGIN
                GRANT darkroom_app TO CURRENT_USER;
            EXCEPTION WHEN insufficient_privilege THEN
                RAISE NOTICE 'as an administrator: GRANT darkroom_app TO %', current_user;
            END;
        END IF;
        FOR role_name IN SELECT rolname FROM pg_roles WHERE rolname IN ('darkroom_app', 'darkroom_audit') LOOP
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), role_name);
            FOR each IN
                SELECT c.oid::regclass AS name, c.relname AS label, c.relkind AS kind
                FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace
                    AND c.relkind IN ('r', 'p', 'S') AND pg_has_role(c.relowner, 'USAGE')
            LOOP
                EXECUTE format('REVOKE ALL ON %s FROM %I', each.name, role_name);
                IF each.kind = 'S' THEN
                    EXECUTE format('GRANT SELECT ON SEQUENCE %s TO %I', each.name, role_name);
                ELSIF role_name = 'darkroom_audit' AND hidden ? each.label THEN
                    SELECT string_agg(quote_ident(attname), ', ') INTO columns FROM pg_attribute
                        WHERE attrelid = each.name AND attnum > 0 AND NOT attisdropped
                            AND attname <> hidden ->> each.label;
                    EXECUTE format('GRANT SELECT (%s) ON %s TO %I', columns, each.name, role_name);
                ELSE
                    EXECUTE format('GRANT SELECT ON %s TO %I', each.name, role_name);
                END IF;
                CONTINUE WHEN role_name <> 'darkroom_app';
                IF each.kind = 'S' THEN
                    EXECUTE format('GRANT USAGE ON SEQUENCE %s TO darkroom_app', each.name);
                END IF;
                IF filled ? each.label THEN
                    SELECT string_agg(quote_ident(attname), ', ') INTO columns FROM pg_attribute
                        WHERE attrelid = each.name AND attnum > 0 AND NOT attisdropped
                            AND attname <> filled ->> each.label;
                    EXECUTE format('GRANT INSERT (%s) ON %s TO darkroom_app', columns, each.name);
                ELSIF each.label = ANY(inserted) THEN
                    EXECUTE format('GRANT INSERT ON %s TO darkroom_app', each.name);
                END IF;
                IF updated ? each.label THEN
                    EXECUTE format('GRANT UPDATE (%s) ON %s TO darkroom_app', updated ->> each.label, each.name);
                END IF;
                IF each.label = ANY(deleted) THEN
                    EXECUTE format('GRANT DELETE ON %s TO darkroom_app', each.name);
                END IF;
            END LOOP;
        END LOOP;
        GRANT EXECUTE ON FUNCTION lock_ledger() TO darkroom_app;@CALLED
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I REVOKE UPDATE, DELETE ON TABLES FROM darkroom_app',
            current_schema());
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT, INSERT ON TABLES TO darkroom_app',
            current_schema());
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT USAGE, SELECT ON SEQUENCES TO darkroom_app',
            current_schema());
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'darkroom_audit') THEN
            GRANT EXECUTE ON FUNCTION close_books() TO darkroom_audit;
            EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT ON TABLES TO darkroom_audit',
                current_schema());
        END IF;
        RETURN true;
    END $$
"""

AT_0049 = Rights(
    updated={
        "account": (
            "base_url, binding, blocked_until, bound_at, class_times, closed_at, collected_at, is_rate_learned, "
            "key_mark, max_in_flight, max_in_flight_setting, next_slot_at, owner_times, pause_message, "
            "pause_reason, paused_at, probe_at, probes, raised_at, rate, rate_setting, read_class_times, "
            "read_next_slot_at, read_rate, read_rate_setting, refused_rate, resumed_at, scarcity, "
            "store_failed_at, store_id, store_place, throttled_at, wallet_left, wallet_read_at"
        ),
        "batch": "committed, credit_cap, deadline_at, has_pending, priority, state, token, virtual_time, weight",
        "catalog": (
            "approve_above_credits, approve_above_share, credit_cap, recipe, recipe_hash, removed_at, removed_by, "
            "review, updated_at"
        ),
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
        "failed_attempt": "is_counted, is_excused",
        "generation": (
            "accepted_at, answers, binding, body, ended_at, error_code, error_message, final, first_sent_at, "
            "last_sent_at, polls, provider_id, recalls, request_id, reserved, result_url, sends, state, "
            "unreadable_sha256, unreadable_times"
        ),
        "hook": "removed_at",
        "hook_delivery": "attempts, delivered_at, due_at, given_up_at, last_error",
        "job": "ended_at, failure_code, failure_message, failures, generations, request_id, state",
        "latency": "counts, updated_at",
        "model_pause": "message, paused_at, probe_at, probes, resumed_at, status",
        "model_price": "reserved, seen_at",
        "node": "clock_offset_s, error, last_round_at, seen_at",
        "owner_cap": "monthly_cap",
        "owner_month": "committed",
        "prompt_failure": "failures, first_failed_at, last_code, last_failed_at",
        "provider_health": (
            "began_at, canaries_passed, canary_at, canary_job_id, create_began_at, create_failed, create_score, "
            "create_succeeded, create_usual, failed, given_back, lost_creates, proved_at, score, succeeded, usual"
        ),
        "schedule": "counts_from, paused_at, removed_at",
        "schedule_run": (
            "batch_id, checked_at, due_at, ended_at, lease_until, outcome, plan_id, spent, stale_plans, started_at, "
            "state"
        ),
        "step": "attempts, crashes, due_at, error, fence, kind, lease_until, looked_at, polls, since",
        "upkeep": "done_at, due_at, error, every_s, last_run_at",
        "upload": "lease_until, provider_id, uploaded_at, url",
        "waiting_message": "due_at, fence, received_at, tries",
    },
    inserted=(
        "account batch call catalog catalog_item catalog_live catalog_plan catalog_rejection catalog_render "
        "change credit_entry dropped_message failed_attempt generation generation_reading hook hook_delivery "
        "job latency ledger_rollup model_pause model_price node owner_cap owner_month prompt_failure "
        "provider_health reference refused_line refused_message result schedule schedule_run seal seal_fact "
        "step upkeep upload waiting_message wallet_reading"
    ),
    deleted="failed_attempt node owner_cap prompt_failure step upload waiting_message",
    hidden={"hook": "secret"},
    filled={"change": "login"},
)
AT_0051 = AT_0049.plus(updated={"provider_health": "recovered_at"})
AT_0052 = AT_0051.renamed(tables={"upkeep": "maintenance"}, columns={"account": {"scarcity": "saturation"}})
AT_0053 = AT_0052.plus(
    updated={
        "app_user": "roles, disabled_at",
        "sign_in_link": "used_at",
        "web_session": "seen_at",
        "api_token": "used_at, revoked_at",
    },
    inserted="app_user sign_in_link web_session api_token",
    deleted="sign_in_link web_session",
)
AT_0054 = AT_0053.plus(updated={"approval": "approved_by, approved_at"}, inserted="approval")
AT_0055 = AT_0054.plus(
    updated={
        "batch": "done_at",
        "event": "data, relayed_at",
        "hook": "disabled_at, disabled_reason, failing_since, leased_until, rotated_at, secret, took_s",
        "hook_delivery": "failures, response, status, tried_at",
    },
    inserted="event",
)
AT_0056 = AT_0055.plus(
    updated={
        "step": "hinted_at, hints",
        "webhook_count": "count, last_at",
        "webhook_delay": "counts, missed, missed_in_row, updated_at",
        "webhook_endpoint": "last_received_at, provider_id, removed_at, secret",
    },
    inserted="webhook_count webhook_delay webhook_endpoint",
    hidden={"webhook_endpoint": "secret"},
)
AT_0057 = AT_0056.plus(inserted="feed_event")
AT_0059 = AT_0057.plus(deleted="event feed_event hook_delivery")
AT_0063 = AT_0059.plus(
    updated={
        "bulk_operation": "ended_at, started_at, state",
        "bulk_operation_item": "detail, done_at, effect, state",
    },
    inserted="bulk_operation bulk_operation_item",
)
AT_0065 = AT_0063.plus(
    updated={"catalog_claim": "actor, lease_until", "catalog_decision": "ended_at, ended_by, outcome"},
    inserted="catalog_claim catalog_decision",
    deleted="catalog_claim",
)
AT_0066 = AT_0065.plus(updated={"schedule": "created_by, credit_cap, cron, missed, overlap, tz"})
AT_0069 = AT_0066.plus(
    updated={"account": "pools", "owner_account": "account_id, pool"}, inserted="owner_account", deleted="owner_account"
)
AT_0073 = AT_0069.plus(inserted="archived_batch archived_file", called=("remove_archived(uuid, integer)",))
AT_0074 = AT_0073.plus(
    updated={"reference": "erased_at, name"}, called=("erase_texts(text, uuid[], uuid, text[], text, text)",)
)
AT_0075 = AT_0074.plus(updated={"generation": "took_ms"})
AT_0078 = AT_0075.plus(inserted="job_count", deleted="job_count")
AT_0079 = AT_0078.plus(updated={"job": "account_id"}, inserted="batch_account pool_rollup")
_ERASE_ARCHIVED = (
    "erase_archived(text, uuid, boolean, timestamptz, job[], generation[], credit_entry[], call[],"
    " generation_reading[], bigint[], text[], jsonb, text, text)"
)
AT_0081 = AT_0079.plus(inserted="unneeded_file", deleted="unneeded_file", called=(_ERASE_ARCHIVED,))
AT_0082 = AT_0081.plus(updated={"unneeded_file": "noted_at"})
