"""A reference: an input image, and the copies of it that the provider holds."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from models.metadata import Table


class Reference(Table):
    """An input image, known by the SHA-256 of its bytes, which lie in the store under that name."""

    __tablename__ = "reference"

    sha256: Mapped[str] = mapped_column(primary_key=True, comment="Hex digest of the bytes")
    name: Mapped[str] = mapped_column(comment="The file's name when it was first seen")
    size_bytes: Mapped[int] = mapped_column(comment="How many bytes")
    mime_type: Mapped[str] = mapped_column(comment="By signature, not by name")
    width: Mapped[int] = mapped_column(comment="Pixels")
    height: Mapped[int] = mapped_column(comment="Pixels")
    created_at: Mapped[datetime] = mapped_column(comment="When it was first seen")


class Upload(Table):
    """A reference at the provider: many jobs share one upload, and one worker at a time makes it."""

    __tablename__ = "upload"
    __table_args__ = (CheckConstraint("(url IS NULL) = (uploaded_at IS NULL)", name="url_with_time"),)

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), primary_key=True, comment="At whose account")
    reference_hash: Mapped[str] = mapped_column(ForeignKey("reference.sha256"), primary_key=True, comment="Which bytes")
    provider_id: Mapped[str | None] = mapped_column(comment="The provider's file id")
    url: Mapped[str | None] = mapped_column(comment="What a request names; NULL while it is being uploaded")
    uploaded_at: Mapped[datetime | None] = mapped_column(comment="When the provider confirmed it")
    lease_until: Mapped[datetime] = mapped_column(comment="Until when its uploader has it to itself")
