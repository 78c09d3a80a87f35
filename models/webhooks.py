"""Webhooks of the provider: where they come to, what was done with them, and how late they come."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, Double, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from models.metadata import Table


class WebhookEndpoint(Table):
    """One address that was registered with the provider."""

    __tablename__ = "webhook_endpoint"
    __table_args__ = (Index("ix_webhook_endpoint_live", "account_id", postgresql_where=text("removed_at IS NULL")),)

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7")
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), comment="Whose generations it tells of")
    address: Mapped[str] = mapped_column(comment="Its URL without the last segment, which is a secret")
    path_digest: Mapped[bytes] = mapped_column(unique=True, comment="SHA-256 of the last segment of its URL")
    verifiers: Mapped[list[str]] = mapped_column(
        ARRAY(Text), comment="Schemes that a signature may have, in the order in which they are tried"
    )
    provider_id: Mapped[str | None] = mapped_column(
        comment="The provider's id; NULL: whether it was registered is not known"
    )
    secret: Mapped[str | None] = mapped_column(comment="What the provider signs with; never shown")
    created_at: Mapped[datetime] = mapped_column(comment="When it was made")
    last_received_at: Mapped[datetime | None] = mapped_column(comment="When a webhook last came to it; NULL: never")
    removed_at: Mapped[datetime | None] = mapped_column(comment="Since when it takes none; NULL: it does")


class WebhookCount(Table):
    """How many webhooks of an endpoint came to the same."""

    __tablename__ = "webhook_count"

    endpoint_id: Mapped[UUID] = mapped_column(
        ForeignKey("webhook_endpoint.id"), primary_key=True, comment="Where they came to"
    )
    outcome: Mapped[str] = mapped_column(primary_key=True, comment="What was done with them")
    count: Mapped[int] = mapped_column(comment="How many")
    last_at: Mapped[datetime] = mapped_column(comment="When the last of them came")


class WebhookDelay(Table):
    """What an account's generations have shown of its webhooks: with it their polls are scheduled."""

    __tablename__ = "webhook_delay"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), primary_key=True, comment="Whose webhooks")
    counts: Mapped[list[float]] = mapped_column(
        ARRAY(Double), comment="Webhooks per bucket of their delay after the end, the older the less"
    )
    missed: Mapped[float] = mapped_column(comment="Ends without a webhook in time, the older the less")
    missed_in_row: Mapped[int] = mapped_column(comment="The same since one last came")
    updated_at: Mapped[datetime] = mapped_column(comment="When it last learned")
