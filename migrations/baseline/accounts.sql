-- Accounts at the provider: their limits, pauses, prices, and what is learned of the provider's speed and health.

CREATE TABLE account (
    id uuid NOT NULL,
    name text NOT NULL,
    base_url text,
    rate float8 NOT NULL,
    is_rate_learned boolean NOT NULL,
    max_in_flight bigint NOT NULL,
    next_slot_at timestamptz NOT NULL,
    blocked_until timestamptz,
    throttled_at timestamptz,
    raised_at timestamptz NOT NULL,
    class_times jsonb NOT NULL,
    pause_reason text,
    pause_message text,
    paused_at timestamptz,
    probe_at timestamptz,
    probes bigint DEFAULT 0 NOT NULL,
    wallet_left bigint,
    wallet_read_at timestamptz,
    resumed_at timestamptz,
    rate_setting text,
    max_in_flight_setting bigint,
    owner_times jsonb DEFAULT '{}' NOT NULL,
    read_class_times jsonb DEFAULT '{}' NOT NULL,
    read_rate float8,
    read_rate_setting text,
    read_next_slot_at timestamptz,
    refused_rate float8,
    scarcity float8 DEFAULT 0 NOT NULL,
    collected_at timestamptz,
    key_mark text,
    binding bigint DEFAULT 1 NOT NULL,
    bound_at timestamptz,
    store_id uuid,
    store_place text,
    store_failed_at timestamptz,
    closed_at timestamptz,
    CONSTRAINT pk_account PRIMARY KEY (id),
    CONSTRAINT uq_account_name UNIQUE (name),
    CONSTRAINT ck_account_pause_complete CHECK ((pause_reason IS NULL) = (paused_at IS NULL)),
    CONSTRAINT ck_account_pause_reason_known CHECK (pause_reason IN ('insufficient_credits', 'api_key_missing',
        'api_key_invalid', 'api_key_revoked', 'api_key_expired', 'api_scope_denied', 'public_api_disabled',
        'unauthorized', 'results_unreachable', 'provider_failing', 'outcomes_unknown', 'store_unavailable',
        'operator')),
    CONSTRAINT ck_account_rate_positive CHECK (rate > (0)::float8),
    CONSTRAINT ck_account_read_rate_positive CHECK (read_rate > (0)::float8)
);
COMMENT ON COLUMN account.id IS 'UUIDv7';
COMMENT ON COLUMN account.name IS 'What people and settings call it';
COMMENT ON COLUMN account.base_url IS 'The provider that it was last used with';
COMMENT ON COLUMN account.rate IS 'Requests per second, learned or set';
COMMENT ON COLUMN account.is_rate_learned IS 'Whether the rate is found by trying';
COMMENT ON COLUMN account.max_in_flight IS 'Generations that may be open at once';
COMMENT ON COLUMN account.next_slot_at IS 'First request slot that is not given away';
COMMENT ON COLUMN account.blocked_until IS 'No request before it: the provider said so';
COMMENT ON COLUMN account.throttled_at IS 'When a 429 last cut the rate';
COMMENT ON COLUMN account.raised_at IS 'Since when every slot has been taken, as far as that was not looked at yet';
COMMENT ON COLUMN account.class_times IS 'Virtual time per priority class';
COMMENT ON COLUMN account.pause_reason IS 'Why no paid work is done; NULL: it is';
COMMENT ON COLUMN account.pause_message IS 'The provider''s words about it';
COMMENT ON COLUMN account.paused_at IS 'Since when';
COMMENT ON COLUMN account.probe_at IS 'When the next look at the account is due';
COMMENT ON COLUMN account.probes IS 'Looks since the pause began, or since the same one before it';
COMMENT ON COLUMN account.wallet_left IS 'The last reading, less what was held since; NULL: unread';
COMMENT ON COLUMN account.wallet_read_at IS 'When the wallet was last read';
COMMENT ON COLUMN account.resumed_at IS 'When the last pause ended';
COMMENT ON COLUMN account.rate_setting IS 'DARKROOM_RATE when it was last applied';
COMMENT ON COLUMN account.max_in_flight_setting IS 'DARKROOM_MAX_IN_FLIGHT when it was last applied';
COMMENT ON COLUMN account.owner_times IS 'Virtual time per owner, per priority class';
COMMENT ON COLUMN account.read_class_times IS 'Virtual time per priority class at the pace of reads';
COMMENT ON COLUMN account.read_rate IS 'Reads per second; NULL: they share the one pace';
COMMENT ON COLUMN account.read_rate_setting IS 'DARKROOM_READ_RATE when it was last applied';
COMMENT ON COLUMN account.read_next_slot_at IS 'First slot for a read that is not given away';
COMMENT ON COLUMN account.refused_rate IS 'Requests per second that were too many; NULL: unknown';
COMMENT ON COLUMN account.scarcity IS '0: every request finds a slot, to 1: all wait for one';
COMMENT ON COLUMN account.collected_at IS 'When an image was last downloaded, to a minute; NULL: never';
COMMENT ON COLUMN account.key_mark IS 'Salt and scrypt hash of the key it was last used with';
COMMENT ON COLUMN account.binding IS 'Goes up when it is used with another account at a provider';
COMMENT ON COLUMN account.bound_at IS 'When that last happened; NULL: never';
COMMENT ON COLUMN account.store_id IS 'Identity of the store of its images; NULL: not used yet';
COMMENT ON COLUMN account.store_place IS 'Where that store was when it was adopted';
COMMENT ON COLUMN account.store_failed_at IS 'Since when the store has failed; NULL: it works';
COMMENT ON COLUMN account.closed_at IS 'When a 429 closed the key, the first of a run; NULL: never';

CREATE TABLE model_pause (
    account_id uuid NOT NULL,
    model text NOT NULL,
    status text NOT NULL,
    message text NOT NULL,
    paused_at timestamptz,
    probe_at timestamptz,
    probes bigint DEFAULT 0 NOT NULL,
    resumed_at timestamptz,
    CONSTRAINT pk_model_pause PRIMARY KEY (account_id, model),
    CONSTRAINT fk_model_pause_account_id FOREIGN KEY (account_id) REFERENCES account(id),
    CONSTRAINT ck_model_pause_probed_while_paused CHECK ((paused_at IS NULL) = (probe_at IS NULL))
);
COMMENT ON COLUMN model_pause.account_id IS 'At whose account';
COMMENT ON COLUMN model_pause.model IS 'The provider''s model id';
COMMENT ON COLUMN model_pause.status IS 'What the provider''s list says: its api_status, or unlisted';
COMMENT ON COLUMN model_pause.message IS 'The provider''s words when it refused the model';
COMMENT ON COLUMN model_pause.paused_at IS 'Since when; NULL: it is over';
COMMENT ON COLUMN model_pause.probe_at IS 'When the provider''s list is read next';
COMMENT ON COLUMN model_pause.probes IS 'How often that was done in this pause';
COMMENT ON COLUMN model_pause.resumed_at IS 'When the last pause ended; NULL: none has';

CREATE TABLE model_price (
    account_id uuid NOT NULL,
    model text NOT NULL,
    reserved bigint NOT NULL,
    seen_at timestamptz NOT NULL,
    CONSTRAINT pk_model_price PRIMARY KEY (account_id, model),
    CONSTRAINT fk_model_price_account_id FOREIGN KEY (account_id) REFERENCES account(id),
    CONSTRAINT ck_model_price_reserved_not_negative CHECK (reserved >= 0)
);
COMMENT ON COLUMN model_price.account_id IS 'At whose account';
COMMENT ON COLUMN model_price.model IS 'The provider''s model id';
COMMENT ON COLUMN model_price.reserved IS 'Credits that it reserved when they last differed from the hold';
COMMENT ON COLUMN model_price.seen_at IS 'When that was';

CREATE TABLE provider_health (
    account_id uuid NOT NULL,
    usual float8 NOT NULL,
    score float8 DEFAULT 0 NOT NULL,
    began_at timestamptz,
    failed bigint DEFAULT 0 NOT NULL,
    succeeded bigint DEFAULT 0 NOT NULL,
    lost_creates bigint DEFAULT 0 NOT NULL,
    canary_job_id uuid,
    canary_at timestamptz,
    canaries_passed bigint DEFAULT 0 NOT NULL,
    given_back bigint DEFAULT 0 NOT NULL,
    proved_at timestamptz,
    create_usual float8 DEFAULT 0.05 NOT NULL,
    create_score float8 DEFAULT 0 NOT NULL,
    create_began_at timestamptz,
    create_failed bigint DEFAULT 0 NOT NULL,
    create_succeeded bigint DEFAULT 0 NOT NULL,
    CONSTRAINT pk_provider_health PRIMARY KEY (account_id),
    CONSTRAINT fk_provider_health_account_id FOREIGN KEY (account_id) REFERENCES account(id),
    CONSTRAINT ck_provider_health_counted CHECK ((lost_creates >= 0) AND (canaries_passed >= 0) AND (given_back >= 0)),
    CONSTRAINT ck_provider_health_creates_counted CHECK (((create_usual >= (0)::float8)
        AND (create_usual <= (1)::float8)) AND (create_score >= (0)::float8) AND (create_failed >= 0)
        AND (create_succeeded >= 0)),
    CONSTRAINT ck_provider_health_evidence_counted CHECK ((score >= (0)::float8) AND (failed >= 0)
        AND (succeeded >= 0)),
    CONSTRAINT ck_provider_health_usual_share CHECK ((usual >= (0)::float8) AND (usual <= (1)::float8))
);
COMMENT ON COLUMN provider_health.account_id IS 'At whose account';
COMMENT ON COLUMN provider_health.usual IS 'Share of prompts that fail while the provider is well';
COMMENT ON COLUMN provider_health.score IS 'Of the CUSUM; 0: nothing against the provider';
COMMENT ON COLUMN provider_health.began_at IS 'When the first failed generation was created; NULL: the score is zero';
COMMENT ON COLUMN provider_health.failed IS 'Different prompts that failed since then';
COMMENT ON COLUMN provider_health.succeeded IS 'Generations that succeeded since then';
COMMENT ON COLUMN provider_health.lost_creates IS 'Creates without a usable answer since the last that was accepted';
COMMENT ON COLUMN provider_health.canary_job_id IS 'The job that tries whether the provider works';
COMMENT ON COLUMN provider_health.canary_at IS 'When it was admitted';
COMMENT ON COLUMN provider_health.canaries_passed IS 'Canaries in a row that succeeded';
COMMENT ON COLUMN provider_health.given_back IS 'Attempts given back in this pause';
COMMENT ON COLUMN provider_health.proved_at IS 'When a generation last succeeded, to a minute; NULL: not since the last pause';
COMMENT ON COLUMN provider_health.create_usual IS 'Share of prompts whose creates are refused while the provider is well';
COMMENT ON COLUMN provider_health.create_score IS 'Of the CUSUM over creates; 0: nothing against the provider';
COMMENT ON COLUMN provider_health.create_began_at IS 'When the first create was refused; NULL: the score of creates is zero';
COMMENT ON COLUMN provider_health.create_failed IS 'Different prompts whose creates were refused since then';
COMMENT ON COLUMN provider_health.create_succeeded IS 'Creates that were accepted since then';

CREATE TABLE prompt_failure (
    account_id uuid NOT NULL,
    model text NOT NULL,
    prompt_hash bytea NOT NULL,
    failures bigint NOT NULL,
    first_failed_at timestamptz NOT NULL,
    last_failed_at timestamptz NOT NULL,
    last_code text NOT NULL,
    CONSTRAINT pk_prompt_failure PRIMARY KEY (account_id, model, prompt_hash),
    CONSTRAINT fk_prompt_failure_account_id FOREIGN KEY (account_id) REFERENCES account(id),
    CONSTRAINT ck_prompt_failure_failures_positive CHECK (failures >= 1),
    CONSTRAINT ck_prompt_failure_hash_whole CHECK (octet_length(prompt_hash) = 32)
);
COMMENT ON COLUMN prompt_failure.account_id IS 'At whose account';
COMMENT ON COLUMN prompt_failure.model IS 'The provider''s model id';
COMMENT ON COLUMN prompt_failure.prompt_hash IS 'SHA-256 of the prompt in UTF-8';
COMMENT ON COLUMN prompt_failure.failures IS 'Generations that failed since one succeeded';
COMMENT ON COLUMN prompt_failure.first_failed_at IS 'When the first of them ended';
COMMENT ON COLUMN prompt_failure.last_failed_at IS 'When the last of them ended';
COMMENT ON COLUMN prompt_failure.last_code IS 'The provider''s code of the last one';

CREATE TABLE latency (
    account_id uuid NOT NULL,
    model text NOT NULL,
    has_reference boolean NOT NULL,
    counts float8[] NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT pk_latency PRIMARY KEY (account_id, model, has_reference),
    CONSTRAINT fk_latency_account_id FOREIGN KEY (account_id) REFERENCES account(id)
);
COMMENT ON COLUMN latency.account_id IS 'At whose account';
COMMENT ON COLUMN latency.model IS 'The provider''s model id';
COMMENT ON COLUMN latency.has_reference IS 'Whether a reference image was given';
COMMENT ON COLUMN latency.counts IS 'Generations per bucket, the older the less';
COMMENT ON COLUMN latency.updated_at IS 'When it last learned';
