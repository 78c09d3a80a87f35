"""Let people change schedules, and keep decisions on many images as bulk operations."""

from collections.abc import Sequence

from migrations import contract, rights, scripts

revision: str = "0066"
down_revision: str | None = "0065"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_UP = """
ALTER TABLE bulk_operation DROP CONSTRAINT ck_bulk_operation_action_known;
ALTER TABLE bulk_operation ADD CONSTRAINT ck_bulk_operation_action_known
    CHECK (action IN ('pause', 'resume', 'reprioritise', 'cancel', 'retry', 'decide'));
ALTER TABLE bulk_operation_item ADD COLUMN render_id uuid
    CONSTRAINT fk_bulk_operation_item_render_id REFERENCES catalog_render (id);
COMMENT ON COLUMN bulk_operation_item.render_id IS 'The image that is decided on; NULL: the item is the whole batch';
COMMENT ON COLUMN bulk_operation_item.seen IS
    'As the preview showed it: state, jobs and credits of the batch, or the image';
COMMENT ON COLUMN bulk_operation_item.position IS
    'Its place in the operation, from 1: the oldest batch, or the catalog''s first image, first';
COMMENT ON COLUMN bulk_operation.parameters IS
    'What the action needs beside the batches: priority and weight; the code of failures; the verdict on images';
COMMENT ON COLUMN schedule.created_by IS 'Who made it or changed it last; the planner of its plans';
COMMENT ON COLUMN schedule.counts_from IS
    'Fire times after this count: its making, its last change, or the end of its last pause';
"""


def upgrade() -> None:
    # The wider constraint refuses nothing that older code writes; nodes from before bulk operations are not expected.
    contract.require("0065")
    scripts.run(_UP)
    rights.AT_0066.grant()


# Decisions that were made stay where they are; only the orders of them are dropped.
_DOWN = """
DELETE FROM bulk_operation_item i USING bulk_operation o WHERE o.id = i.operation_id AND o.action = 'decide';
DELETE FROM bulk_operation WHERE action = 'decide';
ALTER TABLE bulk_operation_item DROP COLUMN render_id;
ALTER TABLE bulk_operation DROP CONSTRAINT ck_bulk_operation_action_known;
ALTER TABLE bulk_operation ADD CONSTRAINT ck_bulk_operation_action_known
    CHECK (action IN ('pause', 'resume', 'reprioritise', 'cancel', 'retry'));
COMMENT ON COLUMN bulk_operation_item.seen IS 'The batch as the preview showed it: state, jobs and credits';
COMMENT ON COLUMN bulk_operation_item.position IS 'Its place in the operation, from 1: the oldest batch first';
COMMENT ON COLUMN bulk_operation.parameters IS
    'What the action needs beside the batches: priority and weight; the code of failures';
COMMENT ON COLUMN schedule.created_by IS 'Who made it; the planner of its plans';
COMMENT ON COLUMN schedule.counts_from IS 'Fire times after this count: its making, or the end of its last pause';
"""


def downgrade() -> None:
    scripts.run(_DOWN)
    rights.AT_0065.grant()
