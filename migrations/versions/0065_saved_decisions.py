"""Keep decisions about images of catalogs until they are applied, and which reviewer has which image."""

from collections.abc import Sequence

from migrations import rights, scripts

revision: str = "0065"
down_revision: str | None = "0064"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_UP = """
CREATE TABLE catalog_decision (
    render_id uuid NOT NULL,
    number bigint NOT NULL,
    verdict text NOT NULL,
    reason text,
    prompt text,
    actor text NOT NULL,
    decided_at timestamptz NOT NULL,
    outcome text,
    ended_at timestamptz,
    ended_by text,
    CONSTRAINT pk_catalog_decision PRIMARY KEY (render_id, number),
    CONSTRAINT fk_catalog_decision_render_id FOREIGN KEY (render_id) REFERENCES catalog_render (id),
    CONSTRAINT ck_catalog_decision_verdict_known CHECK (verdict IN ('accept', 'reject')),
    CONSTRAINT ck_catalog_decision_outcome_known CHECK (outcome IN ('applied', 'refused', 'replaced', 'undone')),
    CONSTRAINT ck_catalog_decision_ended_whole CHECK (num_nulls(outcome, ended_at, ended_by) IN (0, 3)),
    CONSTRAINT ck_catalog_decision_reason_bounded CHECK (char_length(reason) BETWEEN 1 AND 1000)
);
COMMENT ON COLUMN catalog_decision.render_id IS 'Which image';
COMMENT ON COLUMN catalog_decision.number IS
    'Its place among the decisions on its image, from 1; the last open one counts';
COMMENT ON COLUMN catalog_decision.verdict IS 'accept or reject';
COMMENT ON COLUMN catalog_decision.reason IS 'Why it is rejected; NULL: no reason was given';
COMMENT ON COLUMN catalog_decision.prompt IS 'The reviewer''s own prompt for the next try, if any';
COMMENT ON COLUMN catalog_decision.actor IS 'Who decided';
COMMENT ON COLUMN catalog_decision.decided_at IS 'When';
COMMENT ON COLUMN catalog_decision.outcome IS 'applied, refused, replaced or undone; NULL: it waits to be applied';
COMMENT ON COLUMN catalog_decision.ended_at IS 'When that came of it';
COMMENT ON COLUMN catalog_decision.ended_by IS 'Who applied or undid it';
CREATE INDEX ix_catalog_decision_open ON catalog_decision (render_id) WHERE outcome IS NULL;

CREATE TABLE catalog_claim (
    render_id uuid NOT NULL,
    actor text NOT NULL,
    lease_until timestamptz NOT NULL,
    CONSTRAINT pk_catalog_claim PRIMARY KEY (render_id),
    CONSTRAINT fk_catalog_claim_render_id FOREIGN KEY (render_id) REFERENCES catalog_render (id)
);
COMMENT ON COLUMN catalog_claim.render_id IS 'Which image';
COMMENT ON COLUMN catalog_claim.actor IS 'Who looks at it';
COMMENT ON COLUMN catalog_claim.lease_until IS 'Until when no other reviewer is given it';

CREATE INDEX ix_catalog_item_place ON catalog_item (catalog_id, position, sku);
"""


def upgrade() -> None:
    scripts.run(_UP)
    rights.AT_0065.grant()


def downgrade() -> None:
    scripts.run("DROP INDEX ix_catalog_item_place; DROP TABLE catalog_claim; DROP TABLE catalog_decision;")
    rights.AT_0063.grant()
