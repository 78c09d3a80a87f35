"""Keep where the provider sends webhooks to, what came of them, and what they teach about when to poll."""

from collections.abc import Sequence

from migrations import rights, scripts

revision: str = "0056"
down_revision: str | None = "0055"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_TABLES = """
CREATE TABLE webhook_endpoint (
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    address text NOT NULL,
    path_digest bytea NOT NULL,
    verifiers text[] NOT NULL,
    provider_id text,
    secret text,
    created_at timestamptz NOT NULL,
    last_received_at timestamptz,
    removed_at timestamptz,
    CONSTRAINT pk_webhook_endpoint PRIMARY KEY (id),
    CONSTRAINT uq_webhook_endpoint_path_digest UNIQUE (path_digest),
    CONSTRAINT fk_webhook_endpoint_account_id FOREIGN KEY (account_id) REFERENCES account(id)
);
CREATE INDEX ix_webhook_endpoint_live ON webhook_endpoint (account_id) WHERE (removed_at IS NULL);
COMMENT ON COLUMN webhook_endpoint.id IS 'UUIDv7';
COMMENT ON COLUMN webhook_endpoint.account_id IS 'Whose generations it tells of';
COMMENT ON COLUMN webhook_endpoint.address IS 'Its URL without the last segment, which is a secret';
COMMENT ON COLUMN webhook_endpoint.path_digest IS 'SHA-256 of the last segment of its URL';
COMMENT ON COLUMN webhook_endpoint.verifiers IS
    'Schemes that a signature may have, in the order in which they are tried';
COMMENT ON COLUMN webhook_endpoint.provider_id IS 'The provider''s id; NULL: whether it was registered is not known';
COMMENT ON COLUMN webhook_endpoint.secret IS 'What the provider signs with; never shown';
COMMENT ON COLUMN webhook_endpoint.created_at IS 'When it was made';
COMMENT ON COLUMN webhook_endpoint.last_received_at IS 'When a webhook last came to it; NULL: never';
COMMENT ON COLUMN webhook_endpoint.removed_at IS 'Since when it takes none; NULL: it does';

CREATE TABLE webhook_count (
    endpoint_id uuid NOT NULL,
    outcome text NOT NULL,
    count bigint NOT NULL,
    last_at timestamptz NOT NULL,
    CONSTRAINT pk_webhook_count PRIMARY KEY (endpoint_id, outcome),
    CONSTRAINT fk_webhook_count_endpoint_id FOREIGN KEY (endpoint_id) REFERENCES webhook_endpoint(id)
);
COMMENT ON COLUMN webhook_count.endpoint_id IS 'Where they came to';
COMMENT ON COLUMN webhook_count.outcome IS 'What was done with them';
COMMENT ON COLUMN webhook_count.count IS 'How many';
COMMENT ON COLUMN webhook_count.last_at IS 'When the last of them came';

CREATE TABLE webhook_delay (
    account_id uuid NOT NULL,
    counts double precision[] NOT NULL,
    missed double precision NOT NULL,
    missed_in_row bigint NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT pk_webhook_delay PRIMARY KEY (account_id),
    CONSTRAINT fk_webhook_delay_account_id FOREIGN KEY (account_id) REFERENCES account(id)
);
COMMENT ON COLUMN webhook_delay.account_id IS 'Whose webhooks';
COMMENT ON COLUMN webhook_delay.counts IS 'Webhooks per bucket of their delay after the end, the older the less';
COMMENT ON COLUMN webhook_delay.missed IS 'Ends without a webhook in time, the older the less';
COMMENT ON COLUMN webhook_delay.missed_in_row IS 'The same since one last came';
COMMENT ON COLUMN webhook_delay.updated_at IS 'When it last learned';

ALTER TABLE step ADD COLUMN hinted_at timestamptz, ADD COLUMN hints smallint NOT NULL DEFAULT 0;
COMMENT ON COLUMN step.hinted_at IS 'When a webhook last brought its poll forward; NULL: none did';
COMMENT ON COLUMN step.hints IS 'How many webhooks did';
"""


def upgrade() -> None:
    scripts.run(_TABLES)
    rights.AT_0056.grant()


def downgrade() -> None:
    scripts.run("""
        ALTER TABLE step DROP COLUMN hints, DROP COLUMN hinted_at;
        DROP TABLE webhook_delay, webhook_count, webhook_endpoint;""")
    rights.AT_0055.grant()
