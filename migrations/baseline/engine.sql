-- Jobs, their generations at the provider, the steps that are due, outside calls and results.

CREATE TABLE job (
    id uuid NOT NULL,
    batch_id uuid NOT NULL,
    line bigint NOT NULL,
    key text NOT NULL,
    model text NOT NULL,
    prompt text NOT NULL,
    params jsonb NOT NULL,
    reference_hash text,
    extra jsonb NOT NULL,
    fingerprint text NOT NULL,
    price bigint NOT NULL,
    state text NOT NULL,
    generations bigint DEFAULT 0 NOT NULL,
    failures bigint DEFAULT 0 NOT NULL,
    failure_code text,
    failure_message text,
    request_id text,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    further_references text[],
    CONSTRAINT pk_job PRIMARY KEY (id),
    CONSTRAINT fk_job_batch_id FOREIGN KEY (batch_id) REFERENCES batch(id),
    CONSTRAINT fk_job_reference_hash FOREIGN KEY (reference_hash) REFERENCES reference(sha256),
    CONSTRAINT ck_job_price_positive CHECK (price > 0),
    CONSTRAINT ck_job_state_known CHECK (state IN ('pending', 'active', 'succeeded', 'failed', 'cancelled',
        'in_doubt'))
);
CREATE INDEX ix_job_batch_line ON job (batch_id, line, state);
CREATE INDEX ix_job_crashed ON job (ended_at) WHERE (failure_code = 'internal_error');
CREATE INDEX ix_job_ended ON job (batch_id, ended_at, id) WHERE (ended_at IS NOT NULL);
CREATE INDEX ix_job_pending ON job (batch_id, model, line) WHERE (state = 'pending');
CREATE UNIQUE INDEX uq_job_batch_key ON job (batch_id, key);
COMMENT ON COLUMN job.id IS 'UUIDv7';
COMMENT ON COLUMN job.batch_id IS 'What it was submitted with';
COMMENT ON COLUMN job.line IS 'Line of the manifest, from 1';
COMMENT ON COLUMN job.key IS 'The caller''s own name for it, unique in the batch';
COMMENT ON COLUMN job.model IS 'The provider''s model id';
COMMENT ON COLUMN job.prompt IS 'Sent as it is';
COMMENT ON COLUMN job.params IS 'As the model names them, defaults filled in';
COMMENT ON COLUMN job.reference_hash IS 'SHA-256 of the reference image, if any';
COMMENT ON COLUMN job.extra IS 'The manifest''s other columns, handed back in results';
COMMENT ON COLUMN job.fingerprint IS 'SHA-256 over all that decides the image';
COMMENT ON COLUMN job.price IS 'Credits that one generation of it holds';
COMMENT ON COLUMN job.state IS 'pending, active, succeeded, failed, cancelled or in_doubt';
COMMENT ON COLUMN job.generations IS 'Paid attempts begun';
COMMENT ON COLUMN job.failures IS 'Paid attempts that the provider ended as failed';
COMMENT ON COLUMN job.failure_code IS 'Why it failed, or failed last: the provider''s code or ours';
COMMENT ON COLUMN job.failure_message IS 'The same in words';
COMMENT ON COLUMN job.request_id IS 'The provider''s request id of the failure';
COMMENT ON COLUMN job.created_at IS 'When it was submitted';
COMMENT ON COLUMN job.ended_at IS 'When it reached an end state';
COMMENT ON COLUMN job.further_references IS 'SHA-256 of those after the first, in their order; NULL: there are none';

CREATE TABLE generation (
    id uuid NOT NULL,
    job_id uuid NOT NULL,
    batch_id uuid NOT NULL,
    account_id uuid NOT NULL,
    number bigint NOT NULL,
    idempotency_key text NOT NULL,
    body bytea,
    provider_id text,
    state text NOT NULL,
    held bigint NOT NULL,
    reserved bigint,
    final bigint,
    sends bigint DEFAULT 0 NOT NULL,
    answers bigint DEFAULT 0 NOT NULL,
    polls bigint DEFAULT 0 NOT NULL,
    result_url text,
    error_code text,
    error_message text,
    request_id text,
    admitted_at timestamptz NOT NULL,
    first_sent_at timestamptz,
    accepted_at timestamptz,
    ended_at timestamptz,
    last_sent_at timestamptz,
    binding bigint,
    recalls bigint DEFAULT 0 NOT NULL,
    unreadable_sha256 text,
    unreadable_times bigint DEFAULT 0 NOT NULL,
    CONSTRAINT pk_generation PRIMARY KEY (id),
    CONSTRAINT uq_generation_idempotency_key UNIQUE (idempotency_key),
    CONSTRAINT uq_generation_provider_id UNIQUE (provider_id),
    CONSTRAINT fk_generation_account_id FOREIGN KEY (account_id) REFERENCES account(id),
    CONSTRAINT fk_generation_batch_id FOREIGN KEY (batch_id) REFERENCES batch(id),
    CONSTRAINT fk_generation_job_id FOREIGN KEY (job_id) REFERENCES job(id),
    CONSTRAINT ck_generation_body_before_send CHECK ((sends = 0) OR (body IS NOT NULL)),
    CONSTRAINT ck_generation_sends_counted CHECK ((sends >= 0) AND ((answers >= 0) AND (answers <= sends))),
    CONSTRAINT ck_generation_state_known CHECK (state IN ('held', 'sending', 'accepted', 'succeeded', 'failed',
        'refused', 'void', 'in_doubt'))
);
CREATE INDEX ix_generation_live ON generation (account_id, state) WHERE (state IN ('held', 'sending', 'accepted',
        'in_doubt'));
CREATE UNIQUE INDEX uq_generation_job_number ON generation (job_id, number);
COMMENT ON COLUMN generation.id IS 'UUIDv7';
COMMENT ON COLUMN generation.job_id IS 'What it is an attempt at';
COMMENT ON COLUMN generation.batch_id IS 'Whose credits it uses';
COMMENT ON COLUMN generation.account_id IS 'Who pays the provider';
COMMENT ON COLUMN generation.number IS '1 for a job''s first attempt';
COMMENT ON COLUMN generation.idempotency_key IS 'Sent with every copy of the request';
COMMENT ON COLUMN generation.body IS 'The exact request; NULL until it is frozen';
COMMENT ON COLUMN generation.provider_id IS 'The provider''s id of the task';
COMMENT ON COLUMN generation.state IS 'held, sending, accepted, succeeded, failed, refused, void or in_doubt';
COMMENT ON COLUMN generation.held IS 'Credits promised before the call';
COMMENT ON COLUMN generation.reserved IS 'Credits that the provider said it reserved';
COMMENT ON COLUMN generation.final IS 'Credits that the provider finally charged';
COMMENT ON COLUMN generation.sends IS 'How often the request was begun to be sent';
COMMENT ON COLUMN generation.answers IS 'How many of them surely created nothing';
COMMENT ON COLUMN generation.polls IS 'How often it was asked about before it ended';
COMMENT ON COLUMN generation.result_url IS 'Where the provider put the image';
COMMENT ON COLUMN generation.error_code IS 'The provider''s code when it did not succeed';
COMMENT ON COLUMN generation.error_message IS 'The provider''s words';
COMMENT ON COLUMN generation.request_id IS 'The provider''s id of the request that ended it';
COMMENT ON COLUMN generation.admitted_at IS 'When the hold was posted';
COMMENT ON COLUMN generation.first_sent_at IS 'When the request was first begun to be sent';
COMMENT ON COLUMN generation.accepted_at IS 'When the provider''s id was recorded';
COMMENT ON COLUMN generation.ended_at IS 'When its outcome was recorded';
COMMENT ON COLUMN generation.last_sent_at IS 'When it was last begun to be sent';
COMMENT ON COLUMN generation.binding IS 'Of its account when it was last begun to be sent';
COMMENT ON COLUMN generation.recalls IS 'How often its image was asked for once more after the job had failed';
COMMENT ON COLUMN generation.unreadable_sha256 IS 'Of the last file in its image''s place that is none';
COMMENT ON COLUMN generation.unreadable_times IS 'How often that file came in a row';

CREATE TABLE step (
    job_id uuid NOT NULL,
    generation_id uuid NOT NULL,
    account_id uuid NOT NULL,
    kind text NOT NULL,
    due_at timestamptz NOT NULL,
    lease_until timestamptz,
    fence bigint DEFAULT 0 NOT NULL,
    attempts bigint DEFAULT 0 NOT NULL,
    polls bigint DEFAULT 0 NOT NULL,
    since timestamptz NOT NULL,
    priority text DEFAULT 'bulk' NOT NULL,
    looked_at timestamptz,
    error text,
    crashes bigint DEFAULT 0 NOT NULL,
    CONSTRAINT pk_step PRIMARY KEY (job_id),
    CONSTRAINT fk_step_account_id FOREIGN KEY (account_id) REFERENCES account(id),
    CONSTRAINT fk_step_generation_id FOREIGN KEY (generation_id) REFERENCES generation(id),
    CONSTRAINT fk_step_job_id FOREIGN KEY (job_id) REFERENCES job(id),
    CONSTRAINT ck_step_kind_known CHECK (kind IN ('upload', 'submit', 'poll', 'collect')),
    CONSTRAINT ck_step_priority_known CHECK (priority IN ('interactive', 'refresh', 'bulk'))
) WITH (fillfactor='70', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='2000');
CREATE INDEX ix_step_due ON step (account_id, due_at);
COMMENT ON COLUMN step.job_id IS 'Whose step it is';
COMMENT ON COLUMN step.generation_id IS 'The paid attempt it works on';
COMMENT ON COLUMN step.account_id IS 'Whose requests it uses';
COMMENT ON COLUMN step.kind IS 'upload, submit, poll or collect';
COMMENT ON COLUMN step.due_at IS 'Not before this instant';
COMMENT ON COLUMN step.lease_until IS 'Owned until then; past or NULL: free';
COMMENT ON COLUMN step.fence IS 'Goes up with each lease and claim; an old one is stale';
COMMENT ON COLUMN step.attempts IS 'Tries of this kind that failed in a row';
COMMENT ON COLUMN step.polls IS 'Answers that it had not ended yet';
COMMENT ON COLUMN step.since IS 'When the job came to this kind of step';
COMMENT ON COLUMN step.priority IS 'The class of its batch';
COMMENT ON COLUMN step.looked_at IS 'When the provider last said that it has not ended; NULL: never';
COMMENT ON COLUMN step.error IS 'What went wrong at the last of those tries';
COMMENT ON COLUMN step.crashes IS 'Crashes of our own code in a row';

CREATE TABLE call (
    id bigint GENERATED ALWAYS AS IDENTITY,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    account_id uuid NOT NULL,
    generation_id uuid,
    http_status smallint,
    send smallint,
    is_late boolean NOT NULL,
    kind text NOT NULL,
    outcome text NOT NULL,
    code text,
    message text,
    request_id text,
    provider_id text,
    size_bytes bigint,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT pk_call PRIMARY KEY (id),
    CONSTRAINT ck_call_about_a_generation CHECK ((kind IN ('credits', 'models')) = (generation_id IS NULL)),
    CONSTRAINT ck_call_end_known CHECK ((ended_at IS NOT NULL) OR (outcome = 'unknown')),
    CONSTRAINT ck_call_kind_known CHECK (kind IN ('create', 'get', 'upload', 'download', 'credits', 'models')),
    CONSTRAINT ck_call_outcome_known CHECK (outcome IN ('ok', 'refused', 'not_found', 'conflict', 'throttled',
        'paused', 'unavailable', 'unknown')),
    CONSTRAINT ck_call_send_numbered CHECK ((kind = 'create') = (send IS NOT NULL))
);
CREATE INDEX ix_call_generation ON call (generation_id) WHERE (generation_id IS NOT NULL);
COMMENT ON COLUMN call.id IS 'In the order of writing';
COMMENT ON COLUMN call.started_at IS 'When it was begun to be sent';
COMMENT ON COLUMN call.ended_at IS 'When it was answered; NULL: no answer was seen';
COMMENT ON COLUMN call.account_id IS 'With whose key';
COMMENT ON COLUMN call.generation_id IS 'For which paid attempt; NULL: it is about the account';
COMMENT ON COLUMN call.http_status IS 'As answered; NULL: no answer, or not kept';
COMMENT ON COLUMN call.send IS 'Which copy of a paid request it was, from 1';
COMMENT ON COLUMN call.is_late IS 'Whether its answer came too late for anything to follow from it';
COMMENT ON COLUMN call.kind IS 'create, get, upload, download, credits or models';
COMMENT ON COLUMN call.outcome IS 'ok, or what kind of error it was';
COMMENT ON COLUMN call.code IS 'The error''s code, or the status that a generation had';
COMMENT ON COLUMN call.message IS 'The provider''s words, when it was not ok';
COMMENT ON COLUMN call.request_id IS 'The provider''s id of this request';
COMMENT ON COLUMN call.provider_id IS 'The id that the provider answered with';
COMMENT ON COLUMN call.size_bytes IS 'Of an image that was sent or fetched';
COMMENT ON COLUMN call.recorded_at IS 'Its time, or right after the last seal if that is later';

CREATE TABLE upload (
    account_id uuid NOT NULL,
    reference_hash text NOT NULL,
    provider_id text,
    url text,
    uploaded_at timestamptz,
    lease_until timestamptz NOT NULL,
    CONSTRAINT pk_upload PRIMARY KEY (account_id, reference_hash),
    CONSTRAINT fk_upload_account_id FOREIGN KEY (account_id) REFERENCES account(id),
    CONSTRAINT fk_upload_reference_hash FOREIGN KEY (reference_hash) REFERENCES reference(sha256),
    CONSTRAINT ck_upload_url_with_time CHECK ((url IS NULL) = (uploaded_at IS NULL))
);
COMMENT ON COLUMN upload.account_id IS 'At whose account';
COMMENT ON COLUMN upload.reference_hash IS 'Which bytes';
COMMENT ON COLUMN upload.provider_id IS 'The provider''s file id';
COMMENT ON COLUMN upload.url IS 'What a request names; NULL while it is being uploaded';
COMMENT ON COLUMN upload.uploaded_at IS 'When the provider confirmed it';
COMMENT ON COLUMN upload.lease_until IS 'Until when its uploader has it to itself';

CREATE TABLE result (
    job_id uuid NOT NULL,
    generation_id uuid NOT NULL,
    source_url text NOT NULL,
    path text NOT NULL,
    sha256 text NOT NULL,
    size_bytes bigint NOT NULL,
    mime_type text NOT NULL,
    width bigint NOT NULL,
    height bigint NOT NULL,
    stored_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    frames bigint DEFAULT 1 NOT NULL,
    not_as_ordered text[] DEFAULT '{}'::text[] NOT NULL,
    store_id uuid,
    CONSTRAINT pk_result PRIMARY KEY (job_id),
    CONSTRAINT uq_result_generation_id UNIQUE (generation_id),
    CONSTRAINT uq_result_path UNIQUE (path),
    CONSTRAINT fk_result_generation_id FOREIGN KEY (generation_id) REFERENCES generation(id),
    CONSTRAINT fk_result_job_id FOREIGN KEY (job_id) REFERENCES job(id)
);
CREATE INDEX ix_result_odd ON result (job_id) WHERE (not_as_ordered <> '{}'::text[]);
COMMENT ON COLUMN result.job_id IS 'Whose image it is';
COMMENT ON COLUMN result.generation_id IS 'Who made it';
COMMENT ON COLUMN result.source_url IS 'Where the provider had put it';
COMMENT ON COLUMN result.path IS 'Where it lies in the store';
COMMENT ON COLUMN result.sha256 IS 'Hex digest of the bytes';
COMMENT ON COLUMN result.size_bytes IS 'How many bytes';
COMMENT ON COLUMN result.mime_type IS 'By signature';
COMMENT ON COLUMN result.width IS 'Pixels';
COMMENT ON COLUMN result.height IS 'Pixels';
COMMENT ON COLUMN result.stored_at IS 'When it was in the store';
COMMENT ON COLUMN result.recorded_at IS 'Its time, or right after the last seal if that is later';
COMMENT ON COLUMN result.frames IS 'More than one: it is animated';
COMMENT ON COLUMN result.not_as_ordered IS 'Any of format, size and animated';
COMMENT ON COLUMN result.store_id IS 'Identity of the store that it was put into; NULL: stored before this was recorded';

CREATE TABLE failed_attempt (
    generation_id uuid NOT NULL,
    account_id uuid NOT NULL,
    job_id uuid NOT NULL,
    prompt_hash bytea NOT NULL,
    began_at timestamptz NOT NULL,
    failed_at timestamptz NOT NULL,
    is_counted boolean NOT NULL,
    is_excused boolean NOT NULL,
    CONSTRAINT pk_failed_attempt PRIMARY KEY (generation_id),
    CONSTRAINT fk_failed_attempt_account_id FOREIGN KEY (account_id) REFERENCES account(id),
    CONSTRAINT fk_failed_attempt_generation_id FOREIGN KEY (generation_id) REFERENCES generation(id),
    CONSTRAINT fk_failed_attempt_job_id FOREIGN KEY (job_id) REFERENCES job(id),
    CONSTRAINT ck_failed_attempt_hash_whole CHECK (octet_length(prompt_hash) = 32)
);
CREATE INDEX ix_failed_attempt_account_id ON failed_attempt (account_id);
COMMENT ON COLUMN failed_attempt.generation_id IS 'What the provider said has failed';
COMMENT ON COLUMN failed_attempt.account_id IS 'At whose account';
COMMENT ON COLUMN failed_attempt.job_id IS 'Whose attempt it was';
COMMENT ON COLUMN failed_attempt.prompt_hash IS 'SHA-256 of the prompt in UTF-8';
COMMENT ON COLUMN failed_attempt.began_at IS 'began_at of the evidence that it belongs to';
COMMENT ON COLUMN failed_attempt.failed_at IS 'When the provider first said so';
COMMENT ON COLUMN failed_attempt.is_counted IS 'Whether it counts as one of its job''s failures for now';
COMMENT ON COLUMN failed_attempt.is_excused IS 'Whether it was the provider''s failure, and not its job''s';
