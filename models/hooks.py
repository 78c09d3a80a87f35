"""Events, the hooks that are subscribed to them, and their deliveries."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.checks import one_of
from models.metadata import Table
from worker.hooks.rules.hook import HookKind


class Event(Table):
    """Something that happened, written in the transaction that it tells of, while a hook is subscribed to it."""

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_unrelayed", "id", postgresql_where=text("relayed_at IS NULL")),
        Index("ix_event_relayed", "relayed_at", postgresql_where=text("relayed_at IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7; consumers know it as evt_ and its 32 digits")
    type: Mapped[str] = mapped_column(comment="Such as batch.done")
    version: Mapped[int] = mapped_column(comment="Of the shape of its data")
    subject: Mapped[str] = mapped_column(comment="What it is about: batch:<id>, account:<id> ...")
    catalog_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("catalog.id"), comment="The catalog it is of; NULL: of none"
    )
    once_key: Mapped[str | None] = mapped_column(
        unique=True, comment="Written once for each; NULL: as often as it happens"
    )
    data: Mapped[dict[str, Any]] = mapped_column(comment="What is sent")
    created_at: Mapped[datetime] = mapped_column(comment="When it happened")
    relayed_at: Mapped[datetime | None] = mapped_column(
        comment="When its deliveries were written, or it became part of another; NULL: not yet"
    )


class Hook(Table):
    """A command of the nodes' settings, or an address, that receives events."""

    __tablename__ = "hook"
    __table_args__ = (
        one_of("kind", HookKind),
        CheckConstraint("(kind = 'post') = (secret IS NOT NULL)", name="post_is_signed"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7")
    catalog_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("catalog.id"), comment="The catalog whose events it receives; NULL: those of all"
    )
    kind: Mapped[str] = mapped_column(comment="command or post")
    target: Mapped[str] = mapped_column(comment="The name of a command that the nodes' settings have, or the address")
    secret: Mapped[str | None] = mapped_column(
        comment="What a POST is signed with: whsec_ and base64, newest first, separated by spaces; never shown"
    )
    events: Mapped[list[str]] = mapped_column(comment="Types that it receives")
    created_at: Mapped[datetime] = mapped_column(comment="When it was added")
    rotated_at: Mapped[datetime | None] = mapped_column(comment="When its secret was last rotated; NULL: never")
    failing_since: Mapped[datetime | None] = mapped_column(
        comment="When the first try failed after the last success; NULL: it works"
    )
    took_s: Mapped[float | None] = mapped_column(comment="Seconds that its last try took")
    leased_until: Mapped[datetime | None] = mapped_column(
        comment="Until when one sender has it, or it rests after a failure"
    )
    disabled_at: Mapped[datetime | None] = mapped_column(
        comment="When it was switched off because it failed; NULL: it is on"
    )
    disabled_reason: Mapped[str | None] = mapped_column(comment="Why it was switched off")
    removed_at: Mapped[datetime | None] = mapped_column(comment="When it was removed; its deliveries stay")


class HookDelivery(Table):
    """One event for one hook, until it is taken or given up."""

    __tablename__ = "hook_delivery"
    __table_args__ = (
        Index(
            "ix_hook_delivery_due",
            "hook_id",
            "due_at",
            postgresql_where=text("delivered_at IS NULL AND given_up_at IS NULL"),
        ),
        Index("uq_hook_delivery_event", "event_id", "hook_id", unique=True),
        Index("ix_hook_delivery_delivered", "delivered_at", postgresql_where=text("delivered_at IS NOT NULL")),
        Index("ix_hook_delivery_failed", "given_up_at", postgresql_where=text("given_up_at IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="A UUID; receivers know the id of the event")
    hook_id: Mapped[UUID] = mapped_column(ForeignKey("hook.id"), comment="To whom")
    event_id: Mapped[UUID] = mapped_column(ForeignKey("event.id"), comment="What is delivered")
    created_at: Mapped[datetime] = mapped_column(comment="When it was written")
    due_at: Mapped[datetime] = mapped_column(comment="When it is sent next; a sender moves it on before it sends")
    attempts: Mapped[int] = mapped_column(server_default="0", comment="How often it was begun to be sent")
    failures: Mapped[int] = mapped_column(
        server_default="0", comment="Failed tries since it was made or replayed: the next wait follows from it"
    )
    tried_at: Mapped[datetime | None] = mapped_column(comment="When the last try began; NULL: it was not tried")
    delivered_at: Mapped[datetime | None] = mapped_column(comment="When the receiver took it")
    given_up_at: Mapped[datetime | None] = mapped_column(comment="When it was no longer tried")
    status: Mapped[int | None] = mapped_column(comment="HTTP status of the last answer")
    response: Mapped[str | None] = mapped_column(comment="The head of the last answer's body")
    last_error: Mapped[str | None] = mapped_column(comment="What went wrong the last time")
