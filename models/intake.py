"""References of producers, and messages that are no batch or wait for their references."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.checks import one_of, traceparent
from models.metadata import Table
from worker.core.rules.batch_request import Priority
from worker.intake.rules.delivery import BODY_MAX


class Reference(Table):
    """An input image, known by the SHA-256 of its bytes, which lie in the store under that name."""

    __tablename__ = "reference"

    sha256: Mapped[str] = mapped_column(primary_key=True, comment="Hex digest of the bytes")
    name: Mapped[str] = mapped_column(comment="The file's name when it was first seen")
    size_bytes: Mapped[int] = mapped_column(comment="How many bytes")
    mime_type: Mapped[str] = mapped_column(comment="By signature, not by name")
    width: Mapped[int] = mapped_column(comment="Pixels")
    height: Mapped[int] = mapped_column(comment="Pixels")
    created_at: Mapped[datetime] = mapped_column(comment="When it was first seen")
    erased_at: Mapped[datetime | None] = mapped_column(
        comment="When its file was erased from the store; NULL: it is there"
    )


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


class WaitingMessage(Table):
    """A message whose references are still to be fetched; deleted when it has become a batch or a refused batch."""

    __tablename__ = "waiting_message"
    __table_args__ = (
        CheckConstraint(f"octet_length(body) <= {BODY_MAX}", name="body_bounded"),
        CheckConstraint("tries >= 0", name="tries_not_negative"),
        traceparent(),
        UniqueConstraint("account_id", "name", "sha256"),
        Index("ix_waiting_message_due", "account_id", "due_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7")
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), comment="Whose nodes take it")
    name: Mapped[str] = mapped_column(comment="Its own id, or a name made from its hash: what a redelivery has too")
    sha256: Mapped[str] = mapped_column(comment="SHA-256 of the body as it was delivered, in hex")
    body: Mapped[bytes] = mapped_column(comment="As it was delivered")
    compression: Mapped[str | None] = mapped_column(comment="Of the body, as its producer named it; NULL: none")
    traceparent: Mapped[str | None] = mapped_column(
        comment="The producer's span, as W3C Trace Context names it; NULL: it named none"
    )
    received_at: Mapped[datetime] = mapped_column(comment="When it was taken off the queue")
    due_at: Mapped[datetime] = mapped_column(
        comment="When it may be claimed; while a node has it, the end of its lease"
    )
    fence: Mapped[int] = mapped_column(server_default="0", comment="Goes up with each claim; an old one is stale")
    tries: Mapped[int] = mapped_column(server_default="0", comment="Claims whose node has not given it back")


class ProducerLogin(Table):
    """A login that enqueues by SQL for one owner alone; one that is not here enqueues for any."""

    __tablename__ = "producer_login"
    __table_args__ = (one_of("max_priority", Priority),)

    login: Mapped[str] = mapped_column(primary_key=True, comment="The database's user, a member of darkroom_producer")
    owner: Mapped[str] = mapped_column(comment="For whom it enqueues, and whose batches it sees")
    max_priority: Mapped[str | None] = mapped_column(comment="The highest class that it may ask for; NULL: any")
