"""Keep who may use the web process: users, sign-in links, sessions and API tokens."""

from collections.abc import Sequence

from migrations import rights, scripts

revision: str = "0053"
down_revision: str | None = "0052"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_TABLES = """
CREATE TABLE app_user (
    id uuid NOT NULL,
    name text NOT NULL,
    roles text[] NOT NULL,
    created_at timestamptz NOT NULL,
    disabled_at timestamptz,
    CONSTRAINT pk_app_user PRIMARY KEY (id),
    CONSTRAINT uq_app_user_name UNIQUE (name),
    CONSTRAINT ck_app_user_named CHECK (name <> '')
);
COMMENT ON COLUMN app_user.name IS
    'How it signs in: the name or address that the identity provider or the proxy gives';
COMMENT ON COLUMN app_user.roles IS 'viewer, reviewer, operator, finance, admin';
COMMENT ON COLUMN app_user.disabled_at IS 'Since when it may do nothing; NULL: it may';

CREATE TABLE sign_in_link (
    digest bytea NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    CONSTRAINT pk_sign_in_link PRIMARY KEY (digest),
    CONSTRAINT fk_sign_in_link_user_id FOREIGN KEY (user_id) REFERENCES app_user(id)
);
COMMENT ON COLUMN sign_in_link.digest IS 'SHA-256 of the secret in the link';
COMMENT ON COLUMN sign_in_link.user_id IS 'Whose it is';
COMMENT ON COLUMN sign_in_link.used_at IS 'When it signed the user in; NULL: not yet';

CREATE TABLE web_session (
    digest bytea NOT NULL,
    user_id uuid NOT NULL,
    source text NOT NULL,
    created_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT pk_web_session PRIMARY KEY (digest),
    CONSTRAINT fk_web_session_user_id FOREIGN KEY (user_id) REFERENCES app_user(id)
);
COMMENT ON COLUMN web_session.digest IS 'SHA-256 of the cookie';
COMMENT ON COLUMN web_session.user_id IS 'Whose it is';
COMMENT ON COLUMN web_session.source IS 'How it was signed in: link, oidc';
COMMENT ON COLUMN web_session.seen_at IS 'When it was last used, to a minute';

CREATE TABLE api_token (
    id uuid NOT NULL,
    name text NOT NULL,
    user_id uuid NOT NULL,
    prefix text NOT NULL,
    digest bytea NOT NULL,
    rights text[] NOT NULL,
    owner text,
    max_priority text,
    credit_cap bigint,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    expires_at timestamptz,
    used_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT pk_api_token PRIMARY KEY (id),
    CONSTRAINT uq_api_token_name UNIQUE (name),
    CONSTRAINT uq_api_token_digest UNIQUE (digest),
    CONSTRAINT fk_api_token_user_id FOREIGN KEY (user_id) REFERENCES app_user(id),
    CONSTRAINT ck_api_token_named CHECK (name <> ''),
    CONSTRAINT ck_api_token_cap_positive CHECK (credit_cap >= 0),
    CONSTRAINT ck_api_token_max_priority_known CHECK (max_priority IN ('interactive', 'refresh', 'bulk'))
);
COMMENT ON COLUMN api_token.name IS 'What it is called in the log of changes: token:NAME';
COMMENT ON COLUMN api_token.user_id IS 'For whom it acts';
COMMENT ON COLUMN api_token.prefix IS 'Its first characters, by which people tell tokens apart';
COMMENT ON COLUMN api_token.digest IS 'SHA-256 of the whole token';
COMMENT ON COLUMN api_token.rights IS 'No more than its user has';
COMMENT ON COLUMN api_token.owner IS 'The owner of its batches; NULL: it acts for all owners';
COMMENT ON COLUMN api_token.max_priority IS 'The highest that it may ask for; NULL: any';
COMMENT ON COLUMN api_token.credit_cap IS 'Most credits that one of its batches may commit';
COMMENT ON COLUMN api_token.expires_at IS 'NULL: never';
COMMENT ON COLUMN api_token.used_at IS 'When it was last used, to a minute; NULL: never';
COMMENT ON COLUMN api_token.revoked_at IS 'Since when it is worth nothing; NULL: it is valid';
"""


def upgrade() -> None:
    scripts.run(_TABLES)
    rights.AT_0053.grant()


def downgrade() -> None:
    scripts.run("DROP TABLE api_token, web_session, sign_in_link, app_user;")
    rights.AT_0052.grant()
