"""A model that the provider does not offer for now: its jobs wait, those of other models go on."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from models.metadata import Table


class ModelPause(Table):
    """The last pause of a model at an account; a row whose ``paused_at`` is NULL remembers one that is over."""

    __tablename__ = "model_pause"
    __table_args__ = (CheckConstraint("(paused_at IS NULL) = (probe_at IS NULL)", name="probed_while_paused"),)

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), primary_key=True, comment="At whose account")
    model: Mapped[str] = mapped_column(primary_key=True, comment="The provider's model id")
    status: Mapped[str] = mapped_column(comment="What the provider's list says: its api_status, or unlisted")
    message: Mapped[str] = mapped_column(comment="The provider's words when it refused the model")
    paused_at: Mapped[datetime | None] = mapped_column(comment="Since when; NULL: it is over")
    probe_at: Mapped[datetime | None] = mapped_column(comment="When the provider's list is read next")
    probes: Mapped[int] = mapped_column(server_default="0", comment="How often that was done in this pause")
    resumed_at: Mapped[datetime | None] = mapped_column(comment="When the last pause ended; NULL: none has")
