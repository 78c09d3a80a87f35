"""A seal: the point up to which the ledger is closed, with a digest of every entry before it."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from models.metadata import Table


class Seal(Table):
    """One link of a chain of hashes over the ledger; written once, like the entries that it binds."""

    __tablename__ = "seal"
    __table_args__ = (
        CheckConstraint("octet_length(hash) = 32 AND octet_length(previous_hash) = 32", name="hashes_whole"),
        CheckConstraint("octet_length(digests) = 24 * entries", name="digests_counted"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, comment="Its place in the chain, from 1")
    sealed_at: Mapped[datetime] = mapped_column(comment="Nothing is posted at or before this instant any more")
    last_entry_id: Mapped[int] = mapped_column(comment="It binds the entries after the last seal, up to this one")
    entries: Mapped[int] = mapped_column(comment="How many it binds")
    credits: Mapped[int] = mapped_column(comment="Their sum")
    digests: Mapped[bytes] = mapped_column(
        LargeBinary, comment="Per entry, by id: the id in 8 bytes, and the first 16 bytes of its SHA-256"
    )
    previous_hash: Mapped[bytes] = mapped_column(LargeBinary, comment="Hash of the seal before it; zeros in the first")
    hash: Mapped[bytes] = mapped_column(LargeBinary, comment="SHA-256 over all of the above")


class LedgerRollup(Table):
    """The sums of a seal's entries by day, batch and movement, made with the seal; what statements are printed from."""

    __tablename__ = "ledger_rollup"

    seal_id: Mapped[int] = mapped_column(ForeignKey("seal.id"), primary_key=True, comment="The seal that binds them")
    day: Mapped[date] = mapped_column(Date, primary_key=True, comment="UTC date on which they were posted")
    batch_id: Mapped[UUID] = mapped_column(primary_key=True, comment="Whose four accounts they move between")
    model: Mapped[str] = mapped_column(primary_key=True, comment="The provider's model id of what was made")
    kind: Mapped[str] = mapped_column(primary_key=True, comment="Why they moved")
    source: Mapped[str] = mapped_column(primary_key=True, comment="The account that has less afterwards")
    target: Mapped[str] = mapped_column(primary_key=True, comment="The account that has more afterwards")
    entries: Mapped[int] = mapped_column(comment="How many")
    credits: Mapped[int] = mapped_column(comment="Their sum")
