"""Keep the span of a batch's producer, to which the spans of its steps are linked."""

from collections.abc import Sequence

from migrations import scripts

revision: str = "0071"
down_revision: str | None = "0070"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_FORM = "traceparent ~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$'"
_COMMENT = "The producer''s span, as W3C Trace Context names it; NULL: it named none"
_UP = f"""
ALTER TABLE batch ADD COLUMN traceparent text CONSTRAINT ck_batch_traceparent_known CHECK ({_FORM});
COMMENT ON COLUMN batch.traceparent IS '{_COMMENT}';
ALTER TABLE waiting_message
    ADD COLUMN traceparent text CONSTRAINT ck_waiting_message_traceparent_known CHECK ({_FORM});
COMMENT ON COLUMN waiting_message.traceparent IS '{_COMMENT}';
"""


def upgrade() -> None:
    scripts.run(_UP)


def downgrade() -> None:
    scripts.run("""
        ALTER TABLE batch DROP COLUMN traceparent;
        ALTER TABLE waiting_message DROP COLUMN traceparent""")
