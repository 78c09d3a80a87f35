"""How a provider does for an account: the evidence that it fails, and the job that tries whether it works again."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from models.metadata import Table


class ProviderHealth(Table):
    """One row per account, written only while its row of ``account`` is locked."""

    __tablename__ = "provider_health"
    __table_args__ = (
        CheckConstraint("usual BETWEEN 0 AND 1", name="usual_share"),
        CheckConstraint("score >= 0 AND failed >= 0 AND succeeded >= 0", name="evidence_counted"),
        CheckConstraint(
            "create_usual BETWEEN 0 AND 1 AND create_score >= 0 AND create_failed >= 0 AND create_succeeded >= 0",
            name="creates_counted",
        ),
        CheckConstraint("lost_creates >= 0 AND canaries_passed >= 0 AND given_back >= 0", name="counted"),
    )

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), primary_key=True, comment="At whose account")
    usual: Mapped[float] = mapped_column(comment="Share of prompts that fail while the provider is well")
    score: Mapped[float] = mapped_column(server_default="0", comment="Of the CUSUM; 0: nothing against the provider")
    began_at: Mapped[datetime | None] = mapped_column(
        comment="When the first failed generation was created; NULL: the score is zero"
    )
    failed: Mapped[int] = mapped_column(server_default="0", comment="Different prompts that failed since then")
    succeeded: Mapped[int] = mapped_column(server_default="0", comment="Generations that succeeded since then")
    lost_creates: Mapped[int] = mapped_column(
        server_default="0", comment="Creates without a usable answer since the last that was accepted"
    )
    canary_job_id: Mapped[UUID | None] = mapped_column(comment="The job that tries whether the provider works")
    canary_at: Mapped[datetime | None] = mapped_column(comment="When it was admitted")
    canaries_passed: Mapped[int] = mapped_column(server_default="0", comment="Canaries in a row that succeeded")
    given_back: Mapped[int] = mapped_column(server_default="0", comment="Attempts given back in this pause")
    proved_at: Mapped[datetime | None] = mapped_column(
        comment="When a generation last succeeded, to a minute; NULL: not since the last pause"
    )
    create_usual: Mapped[float] = mapped_column(
        server_default="0.05", comment="Share of prompts whose creates are refused while the provider is well"
    )
    create_score: Mapped[float] = mapped_column(
        server_default="0", comment="Of the CUSUM over creates; 0: nothing against the provider"
    )
    create_began_at: Mapped[datetime | None] = mapped_column(
        comment="When the first create was refused; NULL: the score of creates is zero"
    )
    create_failed: Mapped[int] = mapped_column(
        server_default="0", comment="Different prompts whose creates were refused since then"
    )
    create_succeeded: Mapped[int] = mapped_column(server_default="0", comment="Creates that were accepted since then")


class FailedAttempt(Table):
    """A failed generation whose failure may turn out to be the provider's; gone when that is decided."""

    __tablename__ = "failed_attempt"
    __table_args__ = (
        CheckConstraint("octet_length(prompt_hash) = 32", name="hash_whole"),
        Index("ix_failed_attempt_account_id", "account_id"),
    )

    generation_id: Mapped[UUID] = mapped_column(
        ForeignKey("generation.id"), primary_key=True, comment="What the provider said has failed"
    )
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), comment="At whose account")
    job_id: Mapped[UUID] = mapped_column(ForeignKey("job.id"), comment="Whose attempt it was")
    prompt_hash: Mapped[bytes] = mapped_column(LargeBinary, comment="SHA-256 of the prompt in UTF-8")
    began_at: Mapped[datetime] = mapped_column(comment="began_at of the evidence that it belongs to")
    failed_at: Mapped[datetime] = mapped_column(comment="When the provider first said so")
    is_counted: Mapped[bool] = mapped_column(comment="Whether it counts as one of its job's failures for now")
    is_excused: Mapped[bool] = mapped_column(comment="Whether it was the provider's failure, and not its job's")
