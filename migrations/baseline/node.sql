-- Nodes that run, and what their maintenance did last.

CREATE TABLE node (
    id uuid NOT NULL,
    name text NOT NULL,
    started_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    last_round_at timestamptz,
    clock_offset_s float8 NOT NULL,
    version text NOT NULL,
    error text,
    CONSTRAINT pk_node PRIMARY KEY (id)
);
COMMENT ON COLUMN node.id IS 'Of the process; a restart is another node';
COMMENT ON COLUMN node.name IS 'Host and process id';
COMMENT ON COLUMN node.started_at IS 'When its dispatcher first wrote this row';
COMMENT ON COLUMN node.seen_at IS 'When its dispatcher last wrote this row';
COMMENT ON COLUMN node.last_round_at IS 'When its dispatcher last completed a round; NULL: not yet';
COMMENT ON COLUMN node.clock_offset_s IS 'Its wall clock minus the server''s, in seconds';
COMMENT ON COLUMN node.version IS 'Of the package that it runs';
COMMENT ON COLUMN node.error IS 'Why its dispatcher did not complete its last round; NULL: it did';

CREATE TABLE upkeep (
    account_id uuid NOT NULL,
    kind text NOT NULL,
    every_s float8 NOT NULL,
    due_at timestamptz NOT NULL,
    last_run_at timestamptz,
    done_at timestamptz DEFAULT clock_timestamp() NOT NULL,
    error text,
    CONSTRAINT pk_upkeep PRIMARY KEY (account_id, kind),
    CONSTRAINT fk_upkeep_account_id FOREIGN KEY (account_id) REFERENCES account(id),
    CONSTRAINT ck_upkeep_every_positive CHECK (every_s >= (1)::float8),
    CONSTRAINT ck_upkeep_kind_known CHECK (kind IN ('wallet', 'seal', 'reread', 'deadlines', 'harvest', 'schedule',
        'hooks', 'store'))
);
COMMENT ON COLUMN upkeep.account_id IS 'For whose key';
COMMENT ON COLUMN upkeep.kind IS 'wallet, seal, reread, deadlines, harvest, schedule, hooks or store';
COMMENT ON COLUMN upkeep.every_s IS 'Seconds from one time to the next';
COMMENT ON COLUMN upkeep.due_at IS 'When the next time is';
COMMENT ON COLUMN upkeep.last_run_at IS 'When it was last handed out; NULL: never';
COMMENT ON COLUMN upkeep.done_at IS 'When it last ended without an error, to a minute; at first: when it began';
COMMENT ON COLUMN upkeep.error IS 'Why it last failed; NULL: it has ended without an error since';
