"""A prompt failure: a prompt that fails at the provider again and again, and how often it has."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from models.metadata import Table


class PromptFailure(Table):
    """One row per prompt that has failed since it last succeeded; a success deletes it, so there are few."""

    __tablename__ = "prompt_failure"
    __table_args__ = (
        CheckConstraint("failures >= 1", name="failures_positive"),
        CheckConstraint("octet_length(prompt_hash) = 32", name="hash_whole"),
    )

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), primary_key=True, comment="At whose account")
    model: Mapped[str] = mapped_column(primary_key=True, comment="The provider's model id")
    prompt_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True, comment="SHA-256 of the prompt in UTF-8")
    failures: Mapped[int] = mapped_column(comment="Generations that failed since one succeeded")
    first_failed_at: Mapped[datetime] = mapped_column(comment="When the first of them ended")
    last_failed_at: Mapped[datetime] = mapped_column(comment="When the last of them ended")
    last_code: Mapped[str] = mapped_column(comment="The provider's code of the last one")
