"""Upkeep: work that comes due every so often, and what it found out about single generations."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from models.checks import one_of
from models.metadata import Table
from worker.engine.rules.upkeep import UpkeepKind


class Upkeep(Table):
    """One kind of it for one account; a dispatcher claims it by moving ``due_at`` on."""

    __tablename__ = "upkeep"
    __table_args__ = (one_of("kind", UpkeepKind), CheckConstraint("every_s >= 1", name="every_positive"))

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), primary_key=True, comment="For whose key")
    kind: Mapped[str] = mapped_column(
        primary_key=True, comment="wallet, seal, reread, deadlines, harvest, schedule, hooks or store"
    )
    every_s: Mapped[float] = mapped_column(comment="Seconds from one time to the next")
    due_at: Mapped[datetime] = mapped_column(comment="When the next time is")
    last_run_at: Mapped[datetime | None] = mapped_column(comment="When it was last handed out; NULL: never")
    done_at: Mapped[datetime] = mapped_column(
        server_default=func.clock_timestamp(),
        comment="When it last ended without an error, to a minute; at first: when it began",
    )
    error: Mapped[str | None] = mapped_column(comment="Why it last failed; NULL: it has ended without an error since")


class GenerationReading(Table):
    """What the provider said about a generation whose end was not known; evidence, it moves no credit."""

    __tablename__ = "generation_reading"
    __table_args__ = (Index("ix_generation_reading_generation", "generation_id", "read_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7")
    generation_id: Mapped[UUID] = mapped_column(ForeignKey("generation.id"), comment="Which was asked about")
    read_at: Mapped[datetime] = mapped_column(comment="When")
    status: Mapped[str | None] = mapped_column(comment="The provider's word; NULL: no answer about it")
    reserved: Mapped[int | None] = mapped_column(comment="Credits reserved, as answered")
    final: Mapped[int | None] = mapped_column(comment="Credits charged, as answered")
    code: Mapped[str | None] = mapped_column(comment="The code of its failure, or of the error in place of an answer")
    message: Mapped[str | None] = mapped_column(comment="The provider's words beside the code")
