"""A call: one request that went out to the provider, and what came back."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Identity, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from models.checks import one_of
from models.metadata import Table
from worker.engine.rules.call import CallKind, CallOutcome


class Call(Table):
    """Written once, with the outcome that it led to; a trigger refuses UPDATE and DELETE.

    It has no foreign keys: checking one locks the row that it points to, and every call of an account would lock the
    same one.
    """

    __tablename__ = "call"
    __table_args__ = (
        one_of("kind", CallKind),
        one_of("outcome", CallOutcome),
        CheckConstraint("(kind IN ('credits', 'models')) = (generation_id IS NULL)", name="about_a_generation"),
        CheckConstraint("(kind = 'create') = (send IS NOT NULL)", name="send_numbered"),
        CheckConstraint("ended_at IS NOT NULL OR outcome = 'unknown'", name="end_known"),
        Index("ix_call_generation", "generation_id", postgresql_where=text("generation_id IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True, comment="In the order of writing")
    started_at: Mapped[datetime] = mapped_column(comment="When it was begun to be sent")
    ended_at: Mapped[datetime | None] = mapped_column(comment="When its answer was there; NULL: nobody saw one")
    account_id: Mapped[UUID] = mapped_column(comment="With whose key")
    generation_id: Mapped[UUID | None] = mapped_column(comment="For which paid attempt; NULL: it is about the account")
    http_status: Mapped[int | None] = mapped_column(SmallInteger, comment="As answered; NULL: no answer, or not kept")
    send: Mapped[int | None] = mapped_column(SmallInteger, comment="Which copy of a paid request it was, from 1")
    is_late: Mapped[bool] = mapped_column(comment="Whether its answer came too late for anything to follow from it")
    kind: Mapped[str] = mapped_column(comment="create, get, upload, download, credits or models")
    outcome: Mapped[str] = mapped_column(comment="ok, or what kind of error it was")
    code: Mapped[str | None] = mapped_column(comment="The error's code, or the status that a generation had")
    message: Mapped[str | None] = mapped_column(comment="The provider's words, when it was not ok")
    request_id: Mapped[str | None] = mapped_column(comment="The provider's id of this request")
    provider_id: Mapped[str | None] = mapped_column(comment="The id that the provider answered with")
    size_bytes: Mapped[int | None] = mapped_column(comment="Of an image that was sent or fetched")
    recorded_at: Mapped[datetime] = mapped_column(comment="Its time, or right after the last seal if that is later")
