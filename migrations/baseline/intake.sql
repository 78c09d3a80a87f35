-- References of producers, and messages that are no batch or wait for their references.

CREATE TABLE reference (
    sha256 text NOT NULL,
    name text NOT NULL,
    size_bytes bigint NOT NULL,
    mime_type text NOT NULL,
    width bigint NOT NULL,
    height bigint NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT pk_reference PRIMARY KEY (sha256)
);
COMMENT ON COLUMN reference.sha256 IS 'Hex digest of the bytes';
COMMENT ON COLUMN reference.name IS 'The file''s name when it was first seen';
COMMENT ON COLUMN reference.size_bytes IS 'How many bytes';
COMMENT ON COLUMN reference.mime_type IS 'By signature, not by name';
COMMENT ON COLUMN reference.width IS 'Pixels';
COMMENT ON COLUMN reference.height IS 'Pixels';
COMMENT ON COLUMN reference.created_at IS 'When it was first seen';

CREATE TABLE refused_message (
    batch_id uuid NOT NULL,
    queue text NOT NULL,
    raw bytea NOT NULL,
    size_bytes bigint NOT NULL,
    sha256 text NOT NULL,
    received_at timestamptz NOT NULL,
    CONSTRAINT pk_refused_message PRIMARY KEY (batch_id),
    CONSTRAINT fk_refused_message_batch_id FOREIGN KEY (batch_id) REFERENCES batch(id),
    CONSTRAINT ck_refused_message_raw_bounded CHECK (octet_length(raw) <= 65536),
    CONSTRAINT ck_refused_message_size_not_negative CHECK (size_bytes >= 0)
);
COMMENT ON COLUMN refused_message.batch_id IS 'The refused batch';
COMMENT ON COLUMN refused_message.queue IS 'Where it came from';
COMMENT ON COLUMN refused_message.raw IS 'Its first 64 KiB: the body, or the whole message if it was not readable';
COMMENT ON COLUMN refused_message.size_bytes IS 'Bytes of the whole';
COMMENT ON COLUMN refused_message.sha256 IS 'SHA-256 of the whole, in hex';
COMMENT ON COLUMN refused_message.received_at IS 'When it was taken off the queue';

CREATE TABLE dropped_message (
    queue text NOT NULL,
    day date NOT NULL,
    messages bigint NOT NULL,
    last_reason text NOT NULL,
    last_at timestamptz NOT NULL,
    CONSTRAINT pk_dropped_message PRIMARY KEY (queue, day),
    CONSTRAINT ck_dropped_message_messages_positive CHECK (messages >= 1)
);
COMMENT ON COLUMN dropped_message.queue IS 'Where they came from';
COMMENT ON COLUMN dropped_message.day IS 'The day in UTC';
COMMENT ON COLUMN dropped_message.messages IS 'How many';
COMMENT ON COLUMN dropped_message.last_reason IS 'Why the last one was dropped';
COMMENT ON COLUMN dropped_message.last_at IS 'When the last one was dropped';

CREATE TABLE waiting_message (
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    name text NOT NULL,
    sha256 text NOT NULL,
    body bytea NOT NULL,
    compression text,
    received_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    fence bigint DEFAULT 0 NOT NULL,
    tries bigint DEFAULT 0 NOT NULL,
    CONSTRAINT pk_waiting_message PRIMARY KEY (id),
    CONSTRAINT uq_waiting_message_account_id_name_sha256 UNIQUE (account_id, name, sha256),
    CONSTRAINT fk_waiting_message_account_id FOREIGN KEY (account_id) REFERENCES account(id),
    CONSTRAINT ck_waiting_message_body_bounded CHECK (octet_length(body) <= 16777216),
    CONSTRAINT ck_waiting_message_tries_not_negative CHECK (tries >= 0)
);
CREATE INDEX ix_waiting_message_due ON waiting_message (account_id, due_at);
COMMENT ON COLUMN waiting_message.id IS 'UUIDv7';
COMMENT ON COLUMN waiting_message.account_id IS 'Whose nodes take it';
COMMENT ON COLUMN waiting_message.name IS 'Its own id, or a name made from its hash: what a redelivery has too';
COMMENT ON COLUMN waiting_message.sha256 IS 'SHA-256 of the body as it was delivered, in hex';
COMMENT ON COLUMN waiting_message.body IS 'As it was delivered';
COMMENT ON COLUMN waiting_message.compression IS 'Of the body, as its producer named it; NULL: none';
COMMENT ON COLUMN waiting_message.received_at IS 'When it was taken off the queue';
COMMENT ON COLUMN waiting_message.due_at IS 'When it may be claimed; while a node has it, the end of its lease';
COMMENT ON COLUMN waiting_message.fence IS 'Goes up with each claim; an old one is stale';
COMMENT ON COLUMN waiting_message.tries IS 'Claims whose node has not given it back';
