-- What is written once is never changed or deleted.

CREATE FUNCTION refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    BEGIN
        RAISE EXCEPTION '% on % is refused: the ledger is append-only, post a correction', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END $$;

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON call
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON catalog_live
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON catalog_rejection
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON change
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON credit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON generation_reading
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger_rollup
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON seal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON wallet_reading
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Nothing is entered into books that are closed: it is dated just after the last seal. An instant more than five
-- seconds after the database's clock is replaced by that clock.

CREATE FUNCTION keep_books_closed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    DECLARE closed_at timestamptz;
    BEGIN
        IF current_setting('transaction_isolation') <> 'read committed' THEN
            RAISE EXCEPTION 'entries are posted in transactions that are READ COMMITTED, this one is %',
                current_setting('transaction_isolation') USING ERRCODE = 'invalid_transaction_state';
        END IF;
            IF NEW.posted_at > clock_timestamp() + interval '5 seconds' THEN NEW.posted_at := clock_timestamp(); END IF;
        SELECT sealed_at INTO closed_at FROM seal ORDER BY id DESC LIMIT 1;
        IF NEW.posted_at <= closed_at THEN
            NEW.posted_at := closed_at + interval '1 microsecond';
        END IF;
        RETURN NEW;
    END $$;

CREATE TRIGGER books_closed BEFORE INSERT ON credit_entry
    FOR EACH ROW EXECUTE FUNCTION keep_books_closed();

CREATE FUNCTION record_after_seal() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    DECLARE closed_at timestamptz;
    BEGIN
        IF TG_TABLE_NAME = 'call' THEN
            IF NEW.started_at > clock_timestamp() + interval '5 seconds' THEN NEW.started_at := clock_timestamp(); END IF;
            IF NEW.ended_at > clock_timestamp() + interval '5 seconds' THEN NEW.ended_at := clock_timestamp(); END IF;
        ELSIF TG_TABLE_NAME = 'result' THEN
            IF NEW.stored_at > clock_timestamp() + interval '5 seconds' THEN NEW.stored_at := clock_timestamp(); END IF;
        ELSE
            IF NEW.read_at > clock_timestamp() + interval '5 seconds' THEN NEW.read_at := clock_timestamp(); END IF;
        END IF;
        PERFORM pg_advisory_xact_lock_shared(7041776402155231113);
        SELECT sealed_at INTO closed_at FROM seal ORDER BY id DESC LIMIT 1;
        IF TG_TABLE_NAME = 'call' THEN
            NEW.recorded_at := greatest(NEW.started_at, NEW.ended_at);
        ELSIF TG_TABLE_NAME = 'result' THEN
            NEW.recorded_at := NEW.stored_at;
        ELSE
            NEW.recorded_at := NEW.read_at;
        END IF;
        IF NEW.recorded_at <= closed_at THEN
            NEW.recorded_at := closed_at + interval '1 microsecond';
        END IF;
        RETURN NEW;
    END $$;

CREATE TRIGGER recorded BEFORE INSERT ON call
    FOR EACH ROW EXECUTE FUNCTION record_after_seal();
CREATE TRIGGER recorded BEFORE INSERT ON result
    FOR EACH ROW EXECUTE FUNCTION record_after_seal();
CREATE TRIGGER recorded BEFORE INSERT ON wallet_reading
    FOR EACH ROW EXECUTE FUNCTION record_after_seal();

CREATE FUNCTION date_after_seal() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    DECLARE closed_at timestamptz;
    BEGIN
            IF NEW.changed_at > clock_timestamp() + interval '5 seconds' THEN NEW.changed_at := clock_timestamp(); END IF;
        PERFORM pg_advisory_xact_lock_shared(7041776402155231113);
        SELECT sealed_at INTO closed_at FROM seal ORDER BY id DESC LIMIT 1;
        IF NEW.changed_at <= closed_at THEN
            NEW.changed_at := closed_at + interval '1 microsecond';
        END IF;
        RETURN NEW;
    END $$;

CREATE TRIGGER recorded BEFORE INSERT ON change
    FOR EACH ROW EXECUTE FUNCTION date_after_seal();

-- Instants that other nodes compare are never later than the database's clock.

CREATE FUNCTION date_generation() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    BEGIN
            IF NEW.admitted_at > clock_timestamp() + interval '5 seconds' THEN NEW.admitted_at := clock_timestamp(); END IF;
            IF NEW.first_sent_at > clock_timestamp() + interval '5 seconds' THEN NEW.first_sent_at := clock_timestamp(); END IF;
            IF NEW.last_sent_at > clock_timestamp() + interval '5 seconds' THEN NEW.last_sent_at := clock_timestamp(); END IF;
            IF NEW.accepted_at > clock_timestamp() + interval '5 seconds' THEN NEW.accepted_at := clock_timestamp(); END IF;
            IF NEW.ended_at > clock_timestamp() + interval '5 seconds' THEN NEW.ended_at := clock_timestamp(); END IF;
        RETURN NEW;
    END $$;

CREATE TRIGGER dated BEFORE INSERT OR UPDATE ON generation
    FOR EACH ROW EXECUTE FUNCTION date_generation();

CREATE FUNCTION date_generation_reading() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    BEGIN
            IF NEW.read_at > clock_timestamp() + interval '5 seconds' THEN NEW.read_at := clock_timestamp(); END IF;
        RETURN NEW;
    END $$;

CREATE TRIGGER dated BEFORE INSERT ON generation_reading
    FOR EACH ROW EXECUTE FUNCTION date_generation_reading();

CREATE FUNCTION date_job() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    BEGIN
            IF NEW.ended_at > clock_timestamp() + interval '5 seconds' THEN NEW.ended_at := clock_timestamp(); END IF;
        RETURN NEW;
    END $$;

CREATE TRIGGER dated BEFORE UPDATE ON job
    FOR EACH ROW EXECUTE FUNCTION date_job();

CREATE FUNCTION refuse_seal_ahead() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    DECLARE before record;
    BEGIN
        IF NEW.sealed_at > clock_timestamp() + interval '5 seconds' THEN
            SELECT sealed_at, last_entry_id INTO before FROM seal ORDER BY id DESC LIMIT 1;
            IF NEW.sealed_at > greatest('-infinity', before.sealed_at, (
                    SELECT max(posted_at) FROM credit_entry
                    WHERE id > coalesce(before.last_entry_id, -1) AND id <= NEW.last_entry_id)) THEN
                RAISE EXCEPTION 'the books cannot be closed up to %, which is later than now: set the clock of the'
                    ' machine that asks (NTP)', NEW.sealed_at USING ERRCODE = 'datetime_field_overflow';
            END IF;
        END IF;
        RETURN NEW;
    END $$;

CREATE TRIGGER not_ahead BEFORE INSERT ON seal
    FOR EACH ROW EXECUTE FUNCTION refuse_seal_ahead();
