"""Grant nodes the right to delete old events, deliveries and feed events, and index them by age."""

from collections.abc import Sequence

from migrations import rights, scripts

revision: str = "0059"
down_revision: str | None = "0058"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_UP = """
CREATE INDEX ix_hook_delivery_delivered ON hook_delivery (delivered_at) WHERE delivered_at IS NOT NULL;
CREATE INDEX ix_event_relayed ON event (relayed_at) WHERE relayed_at IS NOT NULL;
"""
_DOWN = """
DROP INDEX ix_event_relayed;
DROP INDEX ix_hook_delivery_delivered;
"""


def upgrade() -> None:
    scripts.run(_UP)
    rights.AT_0059.grant()


def downgrade() -> None:
    scripts.run(_DOWN)
    rights.AT_0057.grant()
