"""A budget: how many credits an owner may commit in one month, and how many are."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, Index
from sqlalchemy.orm import Mapped, mapped_column

from models.metadata import Table


class OwnerCap(Table):
    """The credits that an owner may commit in any one month; an owner without a row has no cap."""

    __tablename__ = "owner_cap"
    __table_args__ = (CheckConstraint("monthly_cap >= 0", name="cap_not_negative"),)

    owner: Mapped[str] = mapped_column(primary_key=True, comment="As batches name it")
    monthly_cap: Mapped[int] = mapped_column(comment="Credits per calendar month, UTC")


class OwnerMonth(Table):
    """What an owner has committed in one month; a release goes back to the month of its hold."""

    __tablename__ = "owner_month"

    owner: Mapped[str] = mapped_column(primary_key=True, comment="As batches name it")
    month: Mapped[date] = mapped_column(Date, primary_key=True, comment="Its first day, UTC")
    committed: Mapped[int] = mapped_column(comment="Credits held, reserved or spent")


class Change(Table):
    """What a person changed, written once: which setting of what, from what to what, and why."""

    __tablename__ = "change"
    __table_args__ = (Index("ix_change_subject", "subject", "changed_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7")
    subject: Mapped[str] = mapped_column(comment="What was changed: batch:<id>, owner:<name>, account:<name> ...")
    field: Mapped[str] = mapped_column(comment="Which setting of it")
    before: Mapped[str | None] = mapped_column(comment="As text; NULL: it was not set")
    after: Mapped[str | None] = mapped_column(comment="As text; NULL: it is not set any more")
    actor: Mapped[str] = mapped_column(comment="Who changed it")
    reason: Mapped[str | None] = mapped_column(comment="Why, in the actor's words")
    changed_at: Mapped[datetime] = mapped_column(comment="When")
