-- Takes back the whole schema, and the rights of the role darkroom_app, but not the role itself.
DO $do$
DECLARE each record;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'darkroom_app') THEN RETURN; END IF;
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I REVOKE ALL ON TABLES FROM darkroom_app',
        current_schema());
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I REVOKE ALL ON SEQUENCES FROM darkroom_app',
        current_schema());
    REVOKE EXECUTE ON FUNCTION lock_ledger() FROM darkroom_app;
    FOR each IN
        SELECT oid::regclass AS name, CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS what
        FROM pg_class WHERE relnamespace = current_schema()::regnamespace
            AND relkind IN ('r', 'p', 'S') AND pg_has_role(relowner, 'USAGE')
    LOOP
        EXECUTE format('REVOKE ALL ON %s %s FROM darkroom_app', each.what, each.name);
    END LOOP;
END $do$;

DROP TABLE account, model_pause, model_price, provider_health, prompt_failure, latency, batch, refused_line,
    owner_cap, owner_month, reference, refused_message, dropped_message, waiting_message, job, generation, step,
    call, upload, result, failed_attempt, credit_entry, wallet_reading, generation_reading, seal, ledger_rollup,
    change, catalog, catalog_item, catalog_plan, catalog_render, catalog_live, catalog_rejection, hook,
    hook_delivery, schedule, schedule_run, node, upkeep;

DROP FUNCTION date_after_seal(), date_generation(), date_generation_reading(), date_job(),
    grant_application_rights(), keep_books_closed(), lock_ledger(), record_after_seal(), refuse_change(),
    refuse_seal_ahead();
