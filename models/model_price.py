"""What the provider last reserved for a model, where it was not what was held."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from models.metadata import Table


class ModelPrice(Table):
    """The provider's own figure for one model and account; a model without a row has its list price."""

    __tablename__ = "model_price"
    __table_args__ = (CheckConstraint("reserved >= 0", name="reserved_not_negative"),)

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), primary_key=True, comment="At whose account")
    model: Mapped[str] = mapped_column(primary_key=True, comment="The provider's model id")
    reserved: Mapped[int] = mapped_column(comment="Credits that it reserved when they last differed from the hold")
    seen_at: Mapped[datetime] = mapped_column(comment="When that was")
