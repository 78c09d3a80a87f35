"""Nodes that run, and what their maintenance did last."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, func
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
    knows: Mapped[str | None] = mapped_column(
        comment="The newest migration that its code knows; NULL: it is older than this column"
    )


class Maintenance(Table):
    """One kind of it for one account; a dispatcher claims it by moving ``due_at`` on."""

    __tablename__ = "maintenance"
    __table_args__ = (CheckConstraint("every_s >= 1", name="every_positive"),)

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), primary_key=True, comment="For whose key")
    kind: Mapped[str] = mapped_column(primary_key=True, comment="The name of the maintenance job")
    every_s: Mapped[float] = mapped_column(comment="Seconds from one time to the next")
    due_at: Mapped[datetime] = mapped_column(comment="When the next time is")
    last_run_at: Mapped[datetime | None] = mapped_column(comment="When it was last handed out; NULL: never")
    done_at: Mapped[datetime] = mapped_column(
        server_default=func.clock_timestamp(),
        comment="When it last ended without an error, to a minute; at first: when it began",
    )
    error: Mapped[str | None] = mapped_column(comment="Why it last failed; NULL: it has ended without an error since")
