"""Messages of producers that are no batch yet, or never will be."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.metadata import Table


class RefusedMessage(Table):
    """The message behind a refused batch, where the message as a whole was no use."""

    __tablename__ = "refused_message"
    __table_args__ = (
        CheckConstraint("octet_length(raw) <= 65536", name="raw_bounded"),
        CheckConstraint("size_bytes >= 0", name="size_not_negative"),
    )

    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batch.id"), primary_key=True, comment="The refused batch")
    queue: Mapped[str] = mapped_column(comment="Where it came from")
    raw: Mapped[bytes] = mapped_column(
        comment="Its first 64 KiB: the body, or the whole message if it was not readable"
    )
    size_bytes: Mapped[int] = mapped_column(comment="Bytes of the whole")
    sha256: Mapped[str] = mapped_column(comment="SHA-256 of the whole, in hex")
    received_at: Mapped[datetime] = mapped_column(comment="When it was taken off the queue")


class DroppedMessage(Table):
    """How many messages of a queue were dropped on a day."""

    __tablename__ = "dropped_message"
    __table_args__ = (CheckConstraint("messages >= 1", name="messages_positive"),)

    queue: Mapped[str] = mapped_column(primary_key=True, comment="Where they came from")
    day: Mapped[date] = mapped_column(primary_key=True, comment="The day in UTC")
    messages: Mapped[int] = mapped_column(comment="How many")
    last_reason: Mapped[str] = mapped_column(comment="Why the last one was dropped")
    last_at: Mapped[datetime] = mapped_column(comment="When the last one was dropped")


class Intake(Table):
    """A message whose references are still to be fetched: it has left the queue, and its batch is not written yet."""

    __tablename__ = "intake"
    __table_args__ = (
        CheckConstraint("(ended_at IS NULL) = (body IS NOT NULL)", name="body_until_ended"),
        Index("ix_intake_waiting", "account_id", "created_at", postgresql_where=text("ended_at IS NULL")),
        Index("ix_intake_ended", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7")
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), comment="Whose nodes take it")
    name: Mapped[str] = mapped_column(unique=True, comment="The message's id or hash: its redelivery is the same row")
    token: Mapped[str] = mapped_column(comment="The token that the batch will have")
    queue: Mapped[str] = mapped_column(comment="Where the message came from")
    compression: Mapped[str | None] = mapped_column(comment="How the body is compressed; NULL: not at all")
    body: Mapped[bytes | None] = mapped_column(comment="The body as it was received; NULL once its batch is written")
    attempts: Mapped[int] = mapped_column(server_default="0", comment="How often it was claimed")
    fence: Mapped[int] = mapped_column(server_default="0", comment="Goes up with each claim; an old one is stale")
    lease_until: Mapped[datetime | None] = mapped_column(comment="Owned until then; past or NULL: free")
    error: Mapped[str | None] = mapped_column(comment="Why the last claim did not end it")
    created_at: Mapped[datetime] = mapped_column(comment="When it was taken off the queue")
    ended_at: Mapped[datetime | None] = mapped_column(comment="When its batch was written, or refused; NULL: not yet")
