"""Tell hooks of events of every kind: an outbox, subscriptions, deliveries with retries over days, rotated secrets.

Hooks of catalogs become subscriptions to `image.live`; what they are owed is delivered. Their secrets keep their bytes,
written as `whsec_` and base64. The way down keeps hooks of catalogs alone, whose secret is then that text.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from migrations import rights, scripts

revision: str = "0055"
down_revision: str | None = "0054"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_OPEN = sa.text("delivered_at IS NULL AND given_up_at IS NULL")
_RECORDED_BEFORE = "'hook:', 'id', 'catalog_id', 'kind', 'target', 'secret', 'removed_at'"
_RECORDED = "'hook:', 'id', 'catalog_id', 'kind', 'target', 'secret', 'events', 'disabled_at', 'removed_at'"
_TARGET = "The name of a command that the nodes'' settings have, or the address"


def _instant(name: str, comment: str) -> sa.Column[sa.DateTime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=True, comment=comment)


def upgrade() -> None:
    _make_events()
    _note_done_batches()
    _extend_hooks()
    _extend_deliveries()
    rights.AT_0055.grant()


def _make_events() -> None:
    op.create_table(
        "event",
        sa.Column("id", sa.Uuid(), nullable=False, comment="UUIDv7; consumers know it as evt_ and its 32 digits"),
        sa.Column("type", sa.Text(), nullable=False, comment="Such as batch.done"),
        sa.Column("version", sa.BigInteger(), nullable=False, comment="Of the shape of its data"),
        sa.Column("subject", sa.Text(), nullable=False, comment="What it is about: batch:<id>, account:<id> ..."),
        sa.Column("catalog_id", sa.Uuid(), nullable=True, comment="The catalog it is of; NULL: of none"),
        sa.Column("once_key", sa.Text(), nullable=True, comment="Written once for each; NULL: as often as it happens"),
        sa.Column("data", JSONB(), nullable=False, comment="What is sent"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="When it happened"),
        _instant("relayed_at", "When its deliveries were written, or it became part of another; NULL: not yet"),
        sa.PrimaryKeyConstraint("id", name="pk_event"),
        sa.ForeignKeyConstraint(["catalog_id"], ["catalog.id"], name="fk_event_catalog_id"),
        sa.UniqueConstraint("once_key", name="uq_event_once_key"),
    )
    op.create_index("ix_event_unrelayed", "event", ["id"], postgresql_where=sa.text("relayed_at IS NULL"))


def _note_done_batches() -> None:
    op.add_column("batch", _instant("done_at", "When it was noticed that all its jobs had ended; NULL: not so now"))
    op.create_index(
        "ix_batch_not_done", "batch", ["id"], postgresql_where=sa.text("done_at IS NULL AND state <> 'refused'")
    )
    op.execute("""
        UPDATE batch b SET done_at = coalesce((SELECT max(ended_at) FROM job WHERE batch_id = b.id), b.created_at)
        WHERE state <> 'refused' AND NOT EXISTS (
            SELECT FROM job WHERE batch_id = b.id AND state IN ('pending', 'active'))""")


def _extend_hooks() -> None:
    op.drop_index("ix_hook_catalog", "hook")
    op.alter_column(
        "hook",
        "catalog_id",
        existing_type=sa.Uuid(),
        nullable=True,
        comment="The catalog whose events it receives; NULL: those of all",
        existing_comment="The catalog whose images it tells of",
    )
    op.alter_column(
        "hook",
        "secret",
        existing_type=sa.Text(),
        comment="What a POST is signed with: whsec_ and base64, newest first, separated by spaces; never shown",
        existing_comment="What a POST is signed with; never shown",
    )
    op.add_column("hook", sa.Column("events", ARRAY(sa.Text()), nullable=True, comment="Types that it receives"))
    op.add_column("hook", _instant("rotated_at", "When its secret was last rotated; NULL: never"))
    op.add_column("hook", _instant("failing_since", "When the first try failed after the last success; NULL: it works"))
    op.add_column("hook", sa.Column("took_s", sa.Float(), nullable=True, comment="Seconds that its last try took"))
    op.add_column("hook", _instant("leased_until", "Until when one sender has it, or it rests after a failure"))
    op.add_column("hook", _instant("disabled_at", "When it was switched off because it failed; NULL: it is on"))
    op.add_column("hook", sa.Column("disabled_reason", sa.Text(), nullable=True, comment="Why it was switched off"))
    _record("hook", _RECORDED)
    scripts.run("""
        SELECT set_config('darkroom.reason', 'hooks of catalogs became subscriptions', true);
        UPDATE hook SET events = '{image.live}', secret = CASE
            WHEN secret IS NULL OR secret LIKE 'whsec\\_%' THEN secret
            ELSE 'whsec_' || replace(encode(convert_to(secret, 'UTF8'), 'base64'), E'\\n', '') END""")
    op.alter_column("hook", "events", existing_type=ARRAY(sa.Text()), nullable=False)


def _record(table: str, arguments: str) -> None:
    op.execute(f"DROP TRIGGER settings ON {table}")
    op.execute(
        f"CREATE TRIGGER settings AFTER INSERT OR DELETE OR UPDATE ON {table}"
        f" FOR EACH ROW EXECUTE FUNCTION record_setting({arguments})"
    )


_COMMENTS = (
    ("id", sa.Uuid(), "UUIDv7; the receiver may tell copies apart by it", "A UUID; receivers know the id of the event"),
    ("created_at", sa.DateTime(timezone=True), "When it happened", "When it was written"),
)


def _extend_deliveries() -> None:
    for name, kind, _, comment in _COMMENTS:
        op.alter_column("hook_delivery", name, existing_type=kind, existing_nullable=False, comment=comment)
    op.add_column("hook_delivery", sa.Column("event_id", sa.Uuid(), nullable=True, comment="What is delivered"))
    op.add_column(
        "hook_delivery",
        sa.Column(
            "failures",
            sa.BigInteger(),
            nullable=False,
            server_default="0",
            comment="Failed tries since it was made or replayed: the next wait follows from it",
        ),
    )
    op.add_column("hook_delivery", _instant("tried_at", "When the last try began; NULL: it was not tried"))
    op.add_column(
        "hook_delivery", sa.Column("status", sa.BigInteger(), nullable=True, comment="HTTP status of the last answer")
    )
    op.add_column(
        "hook_delivery", sa.Column("response", sa.Text(), nullable=True, comment="The head of the last answer's body")
    )
    scripts.run("""
        INSERT INTO event (id, type, version, subject, catalog_id, data, created_at, relayed_at)
        SELECT d.id, 'image.live', 1, 'catalog:' || h.catalog_id, h.catalog_id, d.payload - 'event', d.created_at,
            d.created_at
        FROM hook_delivery d JOIN hook h ON h.id = d.hook_id;
        UPDATE hook_delivery SET event_id = id, failures = CASE WHEN delivered_at IS NULL THEN least(attempts, 1)
            ELSE 0 END""")
    op.alter_column("hook_delivery", "event_id", existing_type=sa.Uuid(), nullable=False)
    op.drop_column("hook_delivery", "payload")
    op.create_foreign_key("fk_hook_delivery_event_id", "hook_delivery", "event", ["event_id"], ["id"])
    op.drop_index("ix_hook_delivery_due", "hook_delivery")
    op.create_index("ix_hook_delivery_due", "hook_delivery", ["hook_id", "due_at"], postgresql_where=_OPEN)
    op.create_index("uq_hook_delivery_event", "hook_delivery", ["event_id", "hook_id"], unique=True)
    op.create_index(
        "ix_hook_delivery_failed", "hook_delivery", ["given_up_at"], postgresql_where=sa.text("given_up_at IS NOT NULL")
    )


def downgrade() -> None:
    _shrink_deliveries()
    _shrink_hooks()
    op.drop_index("ix_batch_not_done", "batch")
    op.drop_column("batch", "done_at")
    op.drop_table("event")
    rights.AT_0054.grant()


def _shrink_deliveries() -> None:
    for name, kind, comment, _ in _COMMENTS:
        op.alter_column("hook_delivery", name, existing_type=kind, existing_nullable=False, comment=comment)
    for name in ("ix_hook_delivery_failed", "uq_hook_delivery_event", "ix_hook_delivery_due"):
        op.drop_index(name, "hook_delivery")
    op.add_column("hook_delivery", sa.Column("payload", JSONB(), nullable=True, comment="What is sent"))
    scripts.run("""
        DELETE FROM hook_delivery d USING event e, hook h WHERE e.id = d.event_id AND h.id = d.hook_id
            AND (e.type <> 'image.live' OR h.catalog_id IS NULL);
        UPDATE hook_delivery d SET payload = e.data || '{"event": "live"}' FROM event e WHERE e.id = d.event_id""")
    op.alter_column("hook_delivery", "payload", existing_type=JSONB(), nullable=False)
    op.drop_constraint("fk_hook_delivery_event_id", "hook_delivery", type_="foreignkey")
    for name in ("event_id", "failures", "tried_at", "status", "response"):
        op.drop_column("hook_delivery", name)
    op.create_index("ix_hook_delivery_due", "hook_delivery", ["due_at"], postgresql_where=_OPEN)


def _shrink_hooks() -> None:
    op.execute("SELECT set_config('darkroom.reason', 'only hooks of catalogs are left', true)")
    op.execute("DELETE FROM hook WHERE catalog_id IS NULL")
    _record("hook", _RECORDED_BEFORE)
    for name in (
        "events", "rotated_at", "failing_since", "took_s", "leased_until", "disabled_at", "disabled_reason",
    ):  # fmt: skip
        op.drop_column("hook", name)
    op.alter_column(
        "hook", "catalog_id", existing_type=sa.Uuid(), nullable=False, comment="The catalog whose images it tells of"
    )
    op.alter_column("hook", "secret", existing_type=sa.Text(), comment="What a POST is signed with; never shown")
    op.create_index("ix_hook_catalog", "hook", ["catalog_id"], postgresql_where=sa.text("removed_at IS NULL"))
