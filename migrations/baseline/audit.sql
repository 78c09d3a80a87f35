-- Seals over closed periods of the books, and changes by people.

CREATE TABLE seal (
    id bigint NOT NULL,
    sealed_at timestamptz NOT NULL,
    last_entry_id bigint NOT NULL,
    entries bigint NOT NULL,
    credits bigint NOT NULL,
    digests bytea NOT NULL,
    previous_hash bytea NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT pk_seal PRIMARY KEY (id),
    CONSTRAINT ck_seal_digests_counted CHECK (octet_length(digests) = (24 * entries)),
    CONSTRAINT ck_seal_hashes_whole CHECK ((octet_length(hash) = 32) AND (octet_length(previous_hash) = 32))
);
-- Digests cannot be compressed; trying to costs as much as making them.
ALTER TABLE seal ALTER COLUMN digests SET STORAGE EXTERNAL;
COMMENT ON COLUMN seal.id IS 'Its place in the chain, from 1';
COMMENT ON COLUMN seal.sealed_at IS 'Nothing is posted at or before this instant any more';
COMMENT ON COLUMN seal.last_entry_id IS 'It binds the entries after the last seal, up to this one';
COMMENT ON COLUMN seal.entries IS 'How many it binds';
COMMENT ON COLUMN seal.credits IS 'Their sum';
COMMENT ON COLUMN seal.digests IS 'Per entry, by id: the id in 8 bytes, and the first 16 bytes of its SHA-256';
COMMENT ON COLUMN seal.previous_hash IS 'Hash of the seal before it; zeros in the first';
COMMENT ON COLUMN seal.hash IS 'SHA-256 over all of the above';

CREATE TABLE ledger_rollup (
    seal_id bigint NOT NULL,
    day date NOT NULL,
    batch_id uuid NOT NULL,
    kind text NOT NULL,
    source text NOT NULL,
    target text NOT NULL,
    entries bigint NOT NULL,
    credits bigint NOT NULL,
    model text NOT NULL,
    CONSTRAINT pk_ledger_rollup PRIMARY KEY (seal_id, day, batch_id, model, kind, source, target),
    CONSTRAINT fk_ledger_rollup_seal_id FOREIGN KEY (seal_id) REFERENCES seal(id)
);
COMMENT ON COLUMN ledger_rollup.seal_id IS 'The seal that binds them';
COMMENT ON COLUMN ledger_rollup.day IS 'UTC date on which they were posted';
COMMENT ON COLUMN ledger_rollup.batch_id IS 'Whose four accounts they move between';
COMMENT ON COLUMN ledger_rollup.kind IS 'Why they moved';
COMMENT ON COLUMN ledger_rollup.source IS 'The account that has less afterwards';
COMMENT ON COLUMN ledger_rollup.target IS 'The account that has more afterwards';
COMMENT ON COLUMN ledger_rollup.entries IS 'How many';
COMMENT ON COLUMN ledger_rollup.credits IS 'Their sum';
COMMENT ON COLUMN ledger_rollup.model IS 'The provider''s model id of what was made';

CREATE TABLE change (
    id uuid NOT NULL,
    subject text NOT NULL,
    field text NOT NULL,
    before text,
    after text,
    actor text NOT NULL,
    reason text,
    changed_at timestamptz NOT NULL,
    CONSTRAINT pk_change PRIMARY KEY (id)
);
CREATE INDEX ix_change_subject ON change (subject, changed_at);
COMMENT ON COLUMN change.id IS 'UUIDv7';
COMMENT ON COLUMN change.subject IS 'What was changed: batch:<id>, owner:<name>, account:<name> ...';
COMMENT ON COLUMN change.field IS 'Which setting of it';
COMMENT ON COLUMN change.before IS 'As text; NULL: it was not set';
COMMENT ON COLUMN change.after IS 'As text; NULL: it is not set any more';
COMMENT ON COLUMN change.actor IS 'Who changed it';
COMMENT ON COLUMN change.reason IS 'Why, in the actor''s words';
COMMENT ON COLUMN change.changed_at IS 'When';
