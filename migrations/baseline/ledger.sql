-- Credits: entries of the ledger, and readings of the provider's figures.

CREATE TABLE credit_entry (
    id bigint GENERATED ALWAYS AS IDENTITY,
    batch_id uuid NOT NULL,
    generation_id uuid NOT NULL,
    kind text NOT NULL,
    source text NOT NULL,
    target text NOT NULL,
    credits bigint NOT NULL,
    actor text,
    reason text,
    posted_at timestamptz NOT NULL,
    CONSTRAINT pk_credit_entry PRIMARY KEY (id),
    CONSTRAINT fk_credit_entry_batch_id FOREIGN KEY (batch_id) REFERENCES batch(id),
    CONSTRAINT fk_credit_entry_generation_id FOREIGN KEY (generation_id) REFERENCES generation(id),
    CONSTRAINT ck_credit_entry_correction_signed CHECK ((kind <> 'correct') OR ((reason IS NOT NULL)
        AND (actor IS NOT NULL))),
    CONSTRAINT ck_credit_entry_credits_positive CHECK (credits > 0),
    CONSTRAINT ck_credit_entry_kind_known CHECK (kind IN ('hold', 'reserve', 'top_up', 'trim', 'settle', 'overrun',
        'release', 'void', 'correct')),
    CONSTRAINT ck_credit_entry_moves CHECK (source <> target),
    CONSTRAINT ck_credit_entry_source_known CHECK (source IN ('cap', 'held', 'reserved', 'spent')),
    CONSTRAINT ck_credit_entry_target_known CHECK (target IN ('cap', 'held', 'reserved', 'spent'))
);
CREATE INDEX ix_credit_entry_batch ON credit_entry (batch_id, source, target) INCLUDE (credits);
CREATE UNIQUE INDEX uq_credit_entry_generation_kind ON credit_entry (generation_id, kind) WHERE (kind <> 'correct');
COMMENT ON COLUMN credit_entry.id IS 'In the order of writing';
COMMENT ON COLUMN credit_entry.batch_id IS 'Whose four accounts it moves between';
COMMENT ON COLUMN credit_entry.generation_id IS 'The paid attempt behind it';
COMMENT ON COLUMN credit_entry.kind IS 'Why it moved';
COMMENT ON COLUMN credit_entry.source IS 'The account that has less afterwards';
COMMENT ON COLUMN credit_entry.target IS 'The account that has more afterwards';
COMMENT ON COLUMN credit_entry.credits IS 'How many, 1 or more';
COMMENT ON COLUMN credit_entry.actor IS 'The person behind a correction';
COMMENT ON COLUMN credit_entry.reason IS 'The person''s reason';
COMMENT ON COLUMN credit_entry.posted_at IS 'When it was written';

CREATE TABLE wallet_reading (
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    credits bigint NOT NULL,
    read_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT pk_wallet_reading PRIMARY KEY (id),
    CONSTRAINT fk_wallet_reading_account_id FOREIGN KEY (account_id) REFERENCES account(id)
);
CREATE INDEX ix_wallet_reading_account ON wallet_reading (account_id, read_at);
COMMENT ON COLUMN wallet_reading.id IS 'UUIDv7';
COMMENT ON COLUMN wallet_reading.account_id IS 'Whose wallet';
COMMENT ON COLUMN wallet_reading.credits IS 'The balance as answered';
COMMENT ON COLUMN wallet_reading.read_at IS 'When it was read';
COMMENT ON COLUMN wallet_reading.recorded_at IS 'Its time, or right after the last seal if that is later';

CREATE TABLE generation_reading (
    id uuid NOT NULL,
    generation_id uuid NOT NULL,
    read_at timestamptz NOT NULL,
    status text,
    reserved bigint,
    final bigint,
    code text,
    message text,
    CONSTRAINT pk_generation_reading PRIMARY KEY (id),
    CONSTRAINT fk_generation_reading_generation_id FOREIGN KEY (generation_id) REFERENCES generation(id)
);
CREATE INDEX ix_generation_reading_generation ON generation_reading (generation_id, read_at);
COMMENT ON COLUMN generation_reading.id IS 'UUIDv7';
COMMENT ON COLUMN generation_reading.generation_id IS 'Which was asked about';
COMMENT ON COLUMN generation_reading.read_at IS 'When';
COMMENT ON COLUMN generation_reading.status IS 'The provider''s word; NULL: no answer about it';
COMMENT ON COLUMN generation_reading.reserved IS 'Credits reserved, as answered';
COMMENT ON COLUMN generation_reading.final IS 'Credits charged, as answered';
COMMENT ON COLUMN generation_reading.code IS 'The code of its failure, or of the error in place of an answer';
COMMENT ON COLUMN generation_reading.message IS 'The provider''s words beside the code';
