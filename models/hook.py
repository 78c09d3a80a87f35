"""A hook: who is told when items of a catalog go live, and each message until it is delivered."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.checks import one_of
from models.metadata import Table
from worker.catalog.rules.hook import HookKind


class Hook(Table):
    """A command or an address of a catalog's owner."""

    __tablename__ = "hook"
    __table_args__ = (
        one_of("kind", HookKind),
        CheckConstraint("(kind = 'post') = (secret IS NOT NULL)", name="post_is_signed"),
        Index("ix_hook_catalog", "catalog_id", postgresql_where=text("removed_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7")
    catalog_id: Mapped[UUID] = mapped_column(ForeignKey("catalog.id"), comment="Whose items it hears of")
    kind: Mapped[str] = mapped_column(comment="command or post")
    target: Mapped[str] = mapped_column(comment="The command line, or the address")
    secret: Mapped[str | None] = mapped_column(comment="What a POST is signed with; never shown")
    created_at: Mapped[datetime] = mapped_column(comment="When it was added")
    removed_at: Mapped[datetime | None] = mapped_column(comment="When it was removed; its deliveries stay")


class HookDelivery(Table):
    """One message to one hook, written in the transaction that it tells of."""

    __tablename__ = "hook_delivery"
    __table_args__ = (
        Index(
            "ix_hook_delivery_due",
            "due_at",
            postgresql_where=text("delivered_at IS NULL AND given_up_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7; the receiver may tell copies apart by it")
    hook_id: Mapped[UUID] = mapped_column(ForeignKey("hook.id"), comment="To whom")
    payload: Mapped[dict[str, Any]] = mapped_column(comment="What is sent")
    created_at: Mapped[datetime] = mapped_column(comment="When it happened")
    due_at: Mapped[datetime] = mapped_column(comment="When it is sent next; a sender moves it on before it sends")
    attempts: Mapped[int] = mapped_column(server_default="0", comment="How often it was begun to be sent")
    delivered_at: Mapped[datetime | None] = mapped_column(comment="When the receiver took it")
    given_up_at: Mapped[datetime | None] = mapped_column(comment="When it was no longer tried")
    last_error: Mapped[str | None] = mapped_column(comment="What went wrong the last time")
