"""A credit entry: one movement of the ledger, written once and never changed."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.checks import one_of
from models.metadata import Table
from worker.ledger.rules.entries import CreditAccount, EntryKind


class CreditEntry(Table):
    """Double entry: ``credits`` leave ``source`` and arrive in ``target``; a trigger refuses UPDATE and DELETE."""

    __tablename__ = "credit_entry"
    __table_args__ = (
        one_of("kind", EntryKind),
        one_of("source", CreditAccount),
        one_of("target", CreditAccount),
        CheckConstraint("credits > 0", name="credits_positive"),
        CheckConstraint("source <> target", name="moves"),
        CheckConstraint("kind <> 'correct' OR (reason IS NOT NULL AND actor IS NOT NULL)", name="correction_signed"),
        Index(
            "uq_credit_entry_generation_kind",
            "generation_id",
            "kind",
            unique=True,
            postgresql_where=text("kind <> 'correct'"),
        ),
        Index("ix_credit_entry_batch", "batch_id", "source", "target", postgresql_include=["credits"]),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True, comment="In the order of writing")
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batch.id"), comment="Whose four accounts it moves between")
    generation_id: Mapped[UUID] = mapped_column(ForeignKey("generation.id"), comment="The paid attempt behind it")
    kind: Mapped[str] = mapped_column(comment="Why it moved")
    source: Mapped[str] = mapped_column(comment="The account that has less afterwards")
    target: Mapped[str] = mapped_column(comment="The account that has more afterwards")
    credits: Mapped[int] = mapped_column(comment="How many, 1 or more")
    actor: Mapped[str | None] = mapped_column(comment="The person behind a correction")
    reason: Mapped[str | None] = mapped_column(comment="The person's reason")
    posted_at: Mapped[datetime] = mapped_column(comment="When it was written")


class WalletReading(Table):
    """What the provider said that the wallet held; others use it too, so it is evidence and not proof."""

    __tablename__ = "wallet_reading"
    __table_args__ = (Index("ix_wallet_reading_account", "account_id", "read_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7")
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), comment="Whose wallet")
    credits: Mapped[int] = mapped_column(comment="The balance as answered")
    read_at: Mapped[datetime] = mapped_column(comment="When it was read")
    recorded_at: Mapped[datetime] = mapped_column(comment="Its time, or right after the last seal if that is later")
