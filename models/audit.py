"""Seals over closed periods of the books, and changes by people."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from models.metadata import Table


class Change(Table):
    """What a person changed, written once: which setting of what, from what to what, and why."""

    __tablename__ = "change"
    __table_args__ = (
        Index("ix_change_subject", "subject", "changed_at"),
        Index("ix_change_changed", "changed_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7")
    subject: Mapped[str] = mapped_column(comment="What was changed: batch:<id>, owner:<name>, account:<name> ...")
    field: Mapped[str] = mapped_column(comment="Which setting of it")
    before: Mapped[str | None] = mapped_column(comment="As text; NULL: it was not set")
    after: Mapped[str | None] = mapped_column(comment="As text; NULL: it is not set any more")
    actor: Mapped[str] = mapped_column(comment="Who changed it")
    reason: Mapped[str | None] = mapped_column(comment="Why, in the actor's words")
    changed_at: Mapped[datetime] = mapped_column(comment="When")
    login: Mapped[str | None] = mapped_column(
        server_default=text("SESSION_USER"),
        comment="Which user of the database wrote it; NULL: it was written before that was recorded",
    )


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
    facts_hash: Mapped[bytes | None] = mapped_column(
        LargeBinary, comment="Hash of the newest facts that were sealed before it; NULL: there were none"
    )


class SealFact(Table):
    """Digests of what reports show beside the ledger, of one closed period; a chain beside that of the seals."""

    __tablename__ = "seal_fact"
    __table_args__ = (
        CheckConstraint("octet_length(hash) = 32 AND octet_length(previous_hash) = 32", name="hashes_whole"),
    )

    seal_id: Mapped[int] = mapped_column(
        ForeignKey("seal.id"),
        primary_key=True,
        autoincrement=False,
        comment="The seal up to whose instant and last entry it binds them",
    )
    digests: Mapped[str] = mapped_column(
        comment="A line per kind of fact: its name, how many rows, and the SHA-256 over those of the rows"
    )
    previous_hash: Mapped[bytes] = mapped_column(LargeBinary, comment="Hash of the one before it; zeros in the first")
    hash: Mapped[bytes] = mapped_column(LargeBinary, comment="SHA-256 over all of the above and the hash of the seal")


class Erasure(Table):
    """An order of a person to erase prompts and references, written once; sealed with the facts of its period."""

    __tablename__ = "erasure"
    __table_args__ = (
        CheckConstraint("jobs >= 0 AND reference_images >= 0", name="counted"),
        Index("ix_erasure_erased_at", "erased_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(comment="What was erased: job:<id>, batch:<id> or reference:<SHA-256>")
    actor: Mapped[str] = mapped_column(comment="Who ordered it")
    reason: Mapped[str] = mapped_column(comment="Why, in the actor's words")
    jobs: Mapped[int] = mapped_column(comment="Of how many jobs the prompt was erased")
    reference_images: Mapped[int] = mapped_column(comment="How many reference images no job needed any more")
    erased_at: Mapped[datetime] = mapped_column(comment="When, after the last seal")
    login: Mapped[str] = mapped_column(server_default=text("SESSION_USER"), comment="Which user of the database did it")


class ErasedRow(Table):
    """One row of a sealed digest that an erasure changed: with what it was, the digest can still be computed."""

    __tablename__ = "erased_row"
    __table_args__ = (
        CheckConstraint("octet_length(before) = 32 AND octet_length(after) = 32", name="hashes_whole"),
        Index("ix_erased_row_erasure_id", "erasure_id"),
    )

    seal_id: Mapped[int] = mapped_column(
        ForeignKey("seal_fact.seal_id"),
        primary_key=True,
        autoincrement=False,
        comment="The sealed facts whose digest has the row",
    )
    kind: Mapped[str] = mapped_column(primary_key=True, comment="The kind of fact")
    key: Mapped[str] = mapped_column(
        primary_key=True, comment="Its place in that digest: the id of an entry, a batch, a call or a reading"
    )
    erasure_id: Mapped[UUID] = mapped_column(ForeignKey("erasure.id"), comment="What erased it")
    before: Mapped[bytes] = mapped_column(
        LargeBinary, comment="SHA-256 of the row as it was sealed; the salt of its job is gone"
    )
    after: Mapped[bytes | None] = mapped_column(
        LargeBinary, comment="SHA-256 of the row as the erasure left it; nothing changes it since"
    )


_SUMMED = ["seal_id", "batch_id", "model", "kind", "source", "target", "entries", "credits"]


class LedgerRollup(Table):
    """The sums of a seal's entries by day, batch and movement, made with the seal; what statements are printed from."""

    __tablename__ = "ledger_rollup"
    __table_args__ = (Index("ix_ledger_rollup_day", "day", postgresql_include=_SUMMED),)

    seal_id: Mapped[int] = mapped_column(ForeignKey("seal.id"), primary_key=True, comment="The seal that binds them")
    day: Mapped[date] = mapped_column(Date, primary_key=True, comment="UTC date on which they were posted")
    batch_id: Mapped[UUID] = mapped_column(primary_key=True, comment="Whose four accounts they move between")
    model: Mapped[str] = mapped_column(primary_key=True, comment="The provider's model id of what was made")
    kind: Mapped[str] = mapped_column(primary_key=True, comment="Why they moved")
    source: Mapped[str] = mapped_column(primary_key=True, comment="The account that has less afterwards")
    target: Mapped[str] = mapped_column(primary_key=True, comment="The account that has more afterwards")
    entries: Mapped[int] = mapped_column(comment="How many")
    credits: Mapped[int] = mapped_column(comment="Their sum")


class PoolRollup(Table):
    """The same sums by account of the batches whose jobs are spread over a pool, made with the seal."""

    __tablename__ = "pool_rollup"

    batch_id: Mapped[UUID] = mapped_column(primary_key=True, comment="A batch whose jobs are spread over a pool")
    account_id: Mapped[UUID] = mapped_column(primary_key=True, comment="The account of their generations")
    seal_id: Mapped[int] = mapped_column(ForeignKey("seal.id"), primary_key=True, comment="The seal that binds them")
    day: Mapped[date] = mapped_column(Date, primary_key=True, comment="UTC date on which they were posted")
    kind: Mapped[str] = mapped_column(primary_key=True, comment="Why they moved")
    source: Mapped[str] = mapped_column(primary_key=True, comment="The account that has less afterwards")
    target: Mapped[str] = mapped_column(primary_key=True, comment="The account that has more afterwards")
    entries: Mapped[int] = mapped_column(comment="How many")
    credits: Mapped[int] = mapped_column(comment="Their sum")


class LedgerOpening(Table):
    """The sums of all sealed entries before a month, made once with the first seal that reaches into it."""

    __tablename__ = "ledger_opening"
    __table_args__ = (CheckConstraint("extract(day FROM month) = 1", name="first_day"),)

    month: Mapped[date] = mapped_column(
        Date, primary_key=True, comment="The first day of a month, UTC; the sums are those of all entries before it"
    )
    owner: Mapped[str] = mapped_column(primary_key=True, comment="Who answers for their batches")
    model: Mapped[str] = mapped_column(primary_key=True, comment="The provider's model id of what was made")
    kind: Mapped[str] = mapped_column(primary_key=True, comment="Why they moved")
    source: Mapped[str] = mapped_column(primary_key=True, comment="The account that has less afterwards")
    target: Mapped[str] = mapped_column(primary_key=True, comment="The account that has more afterwards")
    entries: Mapped[int] = mapped_column(comment="How many")
    credits: Mapped[int] = mapped_column(comment="Their sum")
