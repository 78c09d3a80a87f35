-- Batches, the lines that were refused, and what owners may commit in a month.

CREATE TABLE batch (
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    token text NOT NULL,
    content_hash text NOT NULL,
    name text NOT NULL,
    owner text NOT NULL,
    purpose text NOT NULL,
    priority text NOT NULL,
    weight bigint DEFAULT 1 NOT NULL,
    virtual_time float8 DEFAULT 0 NOT NULL,
    credit_cap bigint,
    committed bigint DEFAULT 0 NOT NULL,
    size bigint NOT NULL,
    has_pending boolean NOT NULL,
    state text NOT NULL,
    created_at timestamptz NOT NULL,
    deadline_at timestamptz,
    size_policy text DEFAULT 'flag' NOT NULL,
    models text[] DEFAULT '{qwen-image}'::text[] NOT NULL,
    CONSTRAINT pk_batch PRIMARY KEY (id),
    CONSTRAINT uq_batch_token UNIQUE (token),
    CONSTRAINT fk_batch_account_id FOREIGN KEY (account_id) REFERENCES account(id),
    CONSTRAINT ck_batch_committed_not_negative CHECK (committed >= 0),
    CONSTRAINT ck_batch_priority_known CHECK (priority IN ('interactive', 'refresh', 'bulk')),
    CONSTRAINT ck_batch_purpose_known CHECK (purpose IN ('bulk', 'refresh', 'single')),
    CONSTRAINT ck_batch_size_policy_known CHECK (size_policy IN ('accept', 'flag', 'refuse-to-publish')),
    CONSTRAINT ck_batch_state_known CHECK (state IN ('open', 'paused', 'cancelled', 'refused')),
    CONSTRAINT ck_batch_weight_positive CHECK (weight >= 1)
);
CREATE INDEX ix_batch_created_at ON batch (created_at);
CREATE INDEX ix_batch_deadline ON batch (account_id, deadline_at) WHERE has_pending;
CREATE INDEX ix_batch_waiting ON batch (account_id) WHERE (has_pending AND (state = 'open'));
COMMENT ON COLUMN batch.id IS 'UUIDv7';
COMMENT ON COLUMN batch.account_id IS 'Who pays for it';
COMMENT ON COLUMN batch.token IS 'The producer''s own; the same token is the same batch';
COMMENT ON COLUMN batch.content_hash IS 'SHA-256 over the requests, to tell a reused token';
COMMENT ON COLUMN batch.name IS 'What people call it';
COMMENT ON COLUMN batch.owner IS 'Who answers for its credits';
COMMENT ON COLUMN batch.purpose IS 'bulk, refresh or single';
COMMENT ON COLUMN batch.priority IS 'Its class when work is shared out';
COMMENT ON COLUMN batch.weight IS 'Its share inside the class';
COMMENT ON COLUMN batch.virtual_time IS 'Admissions divided by weight';
COMMENT ON COLUMN batch.credit_cap IS 'Credits that it may commit; NULL: no cap';
COMMENT ON COLUMN batch.committed IS 'Credits held, reserved or spent';
COMMENT ON COLUMN batch.size IS 'Jobs in it';
COMMENT ON COLUMN batch.has_pending IS 'False once a look for pending jobs found none';
COMMENT ON COLUMN batch.state IS 'open, paused, cancelled or refused';
COMMENT ON COLUMN batch.created_at IS 'When it was submitted';
COMMENT ON COLUMN batch.deadline_at IS 'When what has not ended is ended; NULL: never';
COMMENT ON COLUMN batch.size_policy IS 'Images of another size: accept, flag or refuse-to-publish';
COMMENT ON COLUMN batch.models IS 'The models that its jobs name, each once';

CREATE TABLE refused_line (
    id uuid NOT NULL,
    batch_id uuid NOT NULL,
    line bigint NOT NULL,
    key text,
    field text NOT NULL,
    reason text NOT NULL,
    permitted jsonb NOT NULL,
    CONSTRAINT pk_refused_line PRIMARY KEY (id),
    CONSTRAINT fk_refused_line_batch_id FOREIGN KEY (batch_id) REFERENCES batch(id)
);
CREATE INDEX ix_refused_line_batch ON refused_line (batch_id, line);
COMMENT ON COLUMN refused_line.id IS 'UUIDv7';
COMMENT ON COLUMN refused_line.batch_id IS 'The batch that it came with';
COMMENT ON COLUMN refused_line.line IS 'Line of the manifest, from 1; 0: the batch itself';
COMMENT ON COLUMN refused_line.key IS 'The caller''s key, when it had a readable one';
COMMENT ON COLUMN refused_line.field IS 'Which column is at fault';
COMMENT ON COLUMN refused_line.reason IS 'What is wrong with it';
COMMENT ON COLUMN refused_line.permitted IS 'What would be taken instead';

CREATE TABLE owner_cap (
    owner text NOT NULL,
    monthly_cap bigint NOT NULL,
    CONSTRAINT pk_owner_cap PRIMARY KEY (owner),
    CONSTRAINT ck_owner_cap_cap_not_negative CHECK (monthly_cap >= 0)
);
COMMENT ON COLUMN owner_cap.owner IS 'As batches name it';
COMMENT ON COLUMN owner_cap.monthly_cap IS 'Credits per calendar month, UTC';

CREATE TABLE owner_month (
    owner text NOT NULL,
    month date NOT NULL,
    committed bigint NOT NULL,
    CONSTRAINT pk_owner_month PRIMARY KEY (owner, month)
);
COMMENT ON COLUMN owner_month.owner IS 'As batches name it';
COMMENT ON COLUMN owner_month.month IS 'Its first day, UTC';
COMMENT ON COLUMN owner_month.committed IS 'Credits held, reserved or spent';
