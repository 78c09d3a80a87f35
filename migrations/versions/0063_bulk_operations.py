"""Keep bulk actions as rows: what was meant, by whom, and what came of each batch."""

from collections.abc import Sequence

from migrations import rights, scripts

revision: str = "0063"
down_revision: str | None = "0061"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_UP = """
CREATE TABLE bulk_operation (
    id uuid NOT NULL,
    action text NOT NULL,
    selection jsonb NOT NULL,
    parameters jsonb NOT NULL,
    actor text NOT NULL,
    reason text,
    state text NOT NULL,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    ended_at timestamptz,
    CONSTRAINT pk_bulk_operation PRIMARY KEY (id),
    CONSTRAINT ck_bulk_operation_action_known CHECK (action IN ('pause', 'resume', 'reprioritise', 'cancel', 'retry')),
    CONSTRAINT ck_bulk_operation_state_known CHECK (state IN ('previewed', 'running', 'done', 'cancelled')),
    CONSTRAINT ck_bulk_operation_ended_when CHECK ((ended_at IS NOT NULL) = (state IN ('done', 'cancelled')))
);
COMMENT ON COLUMN bulk_operation.selection IS 'The filter that was asked; "all" stands for no condition';
COMMENT ON COLUMN bulk_operation.parameters IS
    'What the action needs beside the batches: priority and weight; the code of failures';
COMMENT ON COLUMN bulk_operation.actor IS 'Who ordered it; the author of every change that it makes';
COMMENT ON COLUMN bulk_operation.reason IS 'Why; NULL: not said';
COMMENT ON COLUMN bulk_operation.started_at IS 'When it was confirmed; NULL: it is a preview';
CREATE INDEX ix_bulk_operation_running ON bulk_operation (created_at) WHERE state = 'running';
CREATE INDEX ix_bulk_operation_created_at ON bulk_operation (created_at);

CREATE TABLE bulk_operation_item (
    operation_id uuid NOT NULL,
    position bigint NOT NULL,
    batch_id uuid NOT NULL,
    seen jsonb NOT NULL,
    state text NOT NULL,
    detail text,
    effect jsonb,
    done_at timestamptz,
    CONSTRAINT pk_bulk_operation_item PRIMARY KEY (operation_id, position),
    CONSTRAINT fk_bulk_operation_item_operation_id FOREIGN KEY (operation_id) REFERENCES bulk_operation (id),
    CONSTRAINT fk_bulk_operation_item_batch_id FOREIGN KEY (batch_id) REFERENCES batch (id),
    CONSTRAINT ck_bulk_operation_item_state_known CHECK (state IN ('waiting', 'done', 'skipped', 'failed'))
);
COMMENT ON COLUMN bulk_operation_item.position IS 'Its place in the operation, from 1: the oldest batch first';
COMMENT ON COLUMN bulk_operation_item.seen IS 'The batch as the preview showed it: state, jobs and credits';
COMMENT ON COLUMN bulk_operation_item.detail IS 'Why it was skipped or failed';
COMMENT ON COLUMN bulk_operation_item.effect IS 'What was done, in numbers; NULL: nothing';
CREATE INDEX ix_bulk_operation_item_waiting ON bulk_operation_item (operation_id, position) WHERE state = 'waiting';
"""


def upgrade() -> None:
    scripts.run(_UP)
    rights.AT_0063.grant()


def downgrade() -> None:
    scripts.run("DROP TABLE bulk_operation_item; DROP TABLE bulk_operation;")
    rights.AT_0059.grant()
