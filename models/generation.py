"""A generation: one paid attempt at a job at the provider."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from models.checks import one_of
from models.metadata import Table
from worker.core.rules.generation import GenerationState


class Generation(Table):
    """The key and the exact bytes of a paid request, and all that the provider said about it."""

    __tablename__ = "generation"
    __table_args__ = (
        one_of("state", GenerationState),
        CheckConstraint("sends >= 0 AND answers BETWEEN 0 AND sends", name="sends_counted"),
        CheckConstraint("sends = 0 OR body IS NOT NULL", name="body_before_send"),
        Index("uq_generation_job_number", "job_id", "number", unique=True),
        Index(
            "ix_generation_live",
            "account_id",
            "state",
            postgresql_where=text("state IN ('held', 'sending', 'accepted', 'in_doubt')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7")
    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id"), comment="What it is an attempt at")
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("batch.id"), comment="Whose credits it uses")
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), comment="Who pays the provider")
    number: Mapped[int] = mapped_column(comment="1 for a job's first attempt")
    idempotency_key: Mapped[str] = mapped_column(unique=True, comment="Sent with every copy of the request")
    body: Mapped[bytes | None] = mapped_column(LargeBinary, comment="The exact request; NULL until it is frozen")
    provider_id: Mapped[str | None] = mapped_column(unique=True, comment="The provider's id of the task")
    state: Mapped[str] = mapped_column(comment="held, sending, accepted, succeeded, failed, refused, void or in_doubt")
    held: Mapped[int] = mapped_column(comment="Credits promised before the call")
    reserved: Mapped[int | None] = mapped_column(comment="Credits that the provider said it reserved")
    final: Mapped[int | None] = mapped_column(comment="Credits that the provider finally charged")
    sends: Mapped[int] = mapped_column(server_default="0", comment="How often the request was begun to be sent")
    answers: Mapped[int] = mapped_column(server_default="0", comment="How many of them surely created nothing")
    recalls: Mapped[int] = mapped_column(
        server_default="0", comment="How often its image was asked for once more after the job had failed"
    )
    unreadable_sha256: Mapped[str | None] = mapped_column(comment="Of the last file in its image's place that is none")
    unreadable_times: Mapped[int] = mapped_column(server_default="0", comment="How often that file came in a row")
    binding: Mapped[int | None] = mapped_column(comment="Of its account when it was last begun to be sent")
    polls: Mapped[int] = mapped_column(server_default="0", comment="How often it was asked about before it ended")
    result_url: Mapped[str | None] = mapped_column(comment="Where the provider put the image")
    error_code: Mapped[str | None] = mapped_column(comment="The provider's code when it did not succeed")
    error_message: Mapped[str | None] = mapped_column(comment="The provider's words")
    request_id: Mapped[str | None] = mapped_column(comment="The provider's id of the request that ended it")
    admitted_at: Mapped[datetime] = mapped_column(comment="When the hold was posted")
    first_sent_at: Mapped[datetime | None] = mapped_column(comment="When the request was first begun to be sent")
    last_sent_at: Mapped[datetime | None] = mapped_column(comment="When it was last begun to be sent")
    accepted_at: Mapped[datetime | None] = mapped_column(comment="When the provider's id was recorded")
    ended_at: Mapped[datetime | None] = mapped_column(comment="When its outcome was recorded")
