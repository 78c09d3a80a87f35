"""A step: what a live job does next, and when."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from models.checks import one_of
from models.metadata import Table
from worker.core.rules.batch_request import Priority
from worker.core.rules.step import StepKind


class Step(Table):
    """One narrow row per live job, deleted when the job ends: the hot table is as small as the window in flight."""

    __tablename__ = "step"
    __table_args__ = (
        one_of("kind", StepKind),
        one_of("priority", Priority),
        Index("ix_step_due", "account_id", "due_at"),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id"), primary_key=True, comment="Whose step it is")
    generation_id: Mapped[UUID] = mapped_column(ForeignKey("generation.id"), comment="The paid attempt it works on")
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), comment="Whose requests it uses")
    kind: Mapped[str] = mapped_column(comment="upload, submit, poll or collect")
    priority: Mapped[str] = mapped_column(server_default="bulk", comment="The class of its batch")
    due_at: Mapped[datetime] = mapped_column(comment="Not before this instant")
    lease_until: Mapped[datetime | None] = mapped_column(comment="Owned until then; past or NULL: free")
    fence: Mapped[int] = mapped_column(
        server_default="0", comment="Goes up with each lease and claim; an old one is stale"
    )
    attempts: Mapped[int] = mapped_column(server_default="0", comment="Tries of this kind that failed in a row")
    crashes: Mapped[int] = mapped_column(server_default="0", comment="Crashes of our own code in a row")
    error: Mapped[str | None] = mapped_column(comment="What went wrong at the last of those tries")
    polls: Mapped[int] = mapped_column(server_default="0", comment="Answers that it had not ended yet")
    since: Mapped[datetime] = mapped_column(comment="When the job came to this kind of step")
    looked_at: Mapped[datetime | None] = mapped_column(
        comment="When the provider last said that it has not ended; NULL: never"
    )
