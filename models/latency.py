"""A latency: how long generations of one kind take, as a histogram that forgets."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Double, ForeignKey
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from models.metadata import Table


class Latency(Table):
    """Decayed counts by bucket; the buckets are those of ``worker.engine.rules.latency``."""

    __tablename__ = "latency"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), primary_key=True, comment="At whose account")
    model: Mapped[str] = mapped_column(primary_key=True, comment="The provider's model id")
    has_reference: Mapped[bool] = mapped_column(primary_key=True, comment="Whether a reference image was given")
    counts: Mapped[list[float]] = mapped_column(ARRAY(Double), comment="Generations per bucket, the older the less")
    updated_at: Mapped[datetime] = mapped_column(comment="When it last learned")
