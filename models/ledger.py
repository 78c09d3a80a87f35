"""Credits: entries of the ledger, readings of the provider's figures, and what owners may commit in a month."""

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
            "uq_credit_entry_generation",
            "generation_id",
            "kind",
            # As PostgreSQL prints it, line by line, so that models and tables can be compared.
            text("(\nCASE\nWHEN kind = 'correct'::text THEN id\nELSE 0::bigint\nEND)"),
            unique=True,
        ),
        Index("ix_credit_entry_batch", "batch_id", "source", "target", "credits"),
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
    __table_args__ = (
        Index("ix_wallet_reading_account", "account_id", "read_at"),
        Index("ix_wallet_reading_recorded", "recorded_at", postgresql_using="brin"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7")
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), comment="Whose wallet")
    credits: Mapped[int] = mapped_column(comment="The balance as answered")
    read_at: Mapped[datetime] = mapped_column(comment="When it was read")
    recorded_at: Mapped[datetime] = mapped_column(comment="Its time, or right after the last seal if that is later")


class GenerationReading(Table):
    """What the provider said about a generation whose end was not known; evidence, it moves no credit."""

    __tablename__ = "generation_reading"
    __table_args__ = (
        Index("ix_generation_reading_generation", "generation_id", "read_at"),
        Index("ix_generation_reading_read", "read_at", postgresql_using="brin"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7")
    generation_id: Mapped[UUID] = mapped_column(ForeignKey("generation.id"), comment="Which was asked about")
    read_at: Mapped[datetime] = mapped_column(comment="When")
    status: Mapped[str | None] = mapped_column(comment="The provider's word; NULL: no answer about it")
    reserved: Mapped[int | None] = mapped_column(comment="Credits reserved, as answered")
    final: Mapped[int | None] = mapped_column(comment="Credits charged, as answered")
    code: Mapped[str | None] = mapped_column(comment="The code of its failure, or of the error in place of an answer")
    message: Mapped[str | None] = mapped_column(comment="The provider's words beside the code")
