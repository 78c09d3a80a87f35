"""Keep what waits for a second person, and who agreed to it."""

from collections.abc import Sequence

from migrations import rights, scripts

revision: str = "0054"
down_revision: str | None = "0053"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    scripts.run("""
        CREATE TABLE approval (
            id uuid NOT NULL,
            subject text NOT NULL,
            request text NOT NULL,
            credits bigint,
            requested_by text NOT NULL,
            requested_at timestamptz NOT NULL,
            approved_by text,
            approved_at timestamptz,
            CONSTRAINT pk_approval PRIMARY KEY (id),
            CONSTRAINT ck_approval_approved_by_whom CHECK ((approved_by IS NULL) = (approved_at IS NULL))
        );
        CREATE INDEX ix_approval_open ON approval (subject) WHERE approved_at IS NULL;
        COMMENT ON COLUMN approval.subject IS 'What it is about, as the log of changes names it';
        COMMENT ON COLUMN approval.request IS 'What is to be done, in words that the same order repeats';
        COMMENT ON COLUMN approval.credits IS 'How many it is about; NULL: without a bound';
        COMMENT ON COLUMN approval.approved_by IS 'The second person; NULL: it waits';
    """)
    rights.AT_0054.grant()


def downgrade() -> None:
    scripts.run("DROP TABLE approval;")
    rights.AT_0053.grant()
