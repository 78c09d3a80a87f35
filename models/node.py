"""Worker node processes that are alive, as the database sees them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from models.metadata import Table


class Node(Table):
    """One worker node process; its dispatcher renews the row every few seconds, and all times are the server's."""

    __tablename__ = "node"

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="Of the process; a restart is another node")
    name: Mapped[str] = mapped_column(comment="Host and process id")
    started_at: Mapped[datetime] = mapped_column(comment="When its dispatcher first wrote this row")
    seen_at: Mapped[datetime] = mapped_column(comment="When its dispatcher last wrote this row")
    last_round_at: Mapped[datetime | None] = mapped_column(
        comment="When its dispatcher last completed a round; NULL: not yet"
    )
    error: Mapped[str | None] = mapped_column(
        comment="Why its dispatcher did not complete its last round; NULL: it did"
    )
    clock_offset_s: Mapped[float] = mapped_column(comment="Its wall clock minus the server's, in seconds")
    version: Mapped[str] = mapped_column(comment="Of the package that it runs")
