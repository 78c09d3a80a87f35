-- The role that the program works as: it may post to the ledger, but never change it. Roles belong to the whole
-- server, so several databases share it, and a downgrade leaves it in place.

-- LOCK TABLE asks for the right to change the ledger, which the application does not have. The function names the schema
-- itself, since its caller chooses the search path.
DO $do$ BEGIN
    EXECUTE format($f$
        CREATE FUNCTION lock_ledger() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp AS
        'BEGIN LOCK TABLE %I.credit_entry IN SHARE ROW EXCLUSIVE MODE; END'$f$, current_schema());
    REVOKE EXECUTE ON FUNCTION lock_ledger() FROM PUBLIC;
END $do$;

-- May be called again at any time: by a later migration, or when an administrator has made the role afterwards.
CREATE FUNCTION grant_application_rights() RETURNS boolean
    LANGUAGE plpgsql
    AS $$
    DECLARE
        each record;
        taking text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'darkroom_app') THEN
            BEGIN
                CREATE ROLE darkroom_app NOLOGIN;
            EXCEPTION
                WHEN insufficient_privilege THEN
                    RAISE NOTICE 'role darkroom_app is missing and % may not make it: the application could change'
                        ' the ledger. As an administrator: CREATE ROLE darkroom_app; GRANT darkroom_app TO %;'
                        ' then as the owner of the tables: SELECT grant_application_rights()',
                        current_user, current_user;
                    RETURN false;
                WHEN duplicate_object OR unique_violation THEN NULL;
            END;
        END IF;
        IF NOT pg_has_role('darkroom_app', taking) THEN
            BEGIN
                GRANT darkroom_app TO CURRENT_USER;
            EXCEPTION WHEN insufficient_privilege THEN
                RAISE NOTICE 'as an administrator: GRANT darkroom_app TO %', current_user;
            END;
        END IF;
        IF NOT has_schema_privilege('darkroom_app', current_schema(), 'USAGE') THEN
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO darkroom_app', current_schema());
        END IF;
        FOR each IN
            SELECT c.oid::regclass AS name, c.relkind AS kind, c.relname = 'alembic_version' AS is_ours_only,
                c.relname IN ('wallet_reading', 'change') OR EXISTS (
                    SELECT FROM pg_trigger WHERE tgrelid = c.oid AND tgname = 'append_only') AS is_append_only
            FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace
                AND c.relkind IN ('r', 'p', 'S') AND pg_has_role(c.relowner, 'USAGE')
        LOOP
            IF each.kind = 'S' THEN
                EXECUTE format('GRANT USAGE, SELECT ON SEQUENCE %s TO darkroom_app', each.name);
            ELSIF each.is_ours_only THEN
                EXECUTE format('REVOKE ALL ON %s FROM darkroom_app', each.name);
                EXECUTE format('GRANT SELECT ON %s TO darkroom_app', each.name);
            ELSIF each.is_append_only THEN
                EXECUTE format('REVOKE ALL ON %s FROM darkroom_app', each.name);
                EXECUTE format('GRANT SELECT, INSERT ON %s TO darkroom_app', each.name);
            ELSE
                EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO darkroom_app', each.name);
            END IF;
        END LOOP;
        GRANT EXECUTE ON FUNCTION lock_ledger() TO darkroom_app;
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES'
            ' TO darkroom_app', current_schema());
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT USAGE, SELECT ON SEQUENCES TO darkroom_app',
            current_schema());
        RETURN true;
    END $$;

SELECT grant_application_rights();
