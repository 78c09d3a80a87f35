"""How a seal binds entries of the ledger: a digest of each, and a hash that chains them to the seal before."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

FORMAT = "darkroom seal 1"
"""Part of every hash; another way of writing entries or seals is another format."""

FORMAT_WITH_FACTS = "darkroom seal 2"
"""Of seals that name the newest seal of facts (worker.audit.rules.fact_seal) as well."""

ENTRIES_PER_SEAL = 100_000
"""The most that one seal binds, so that a seal and the memory to check it stay small (2.4 MB)."""

NO_SEAL = bytes(32)
"""What the first seal is chained to."""

LOWEST_ID = -(2**63)
"""The first seal binds everything from here on, so that no entry can be slipped in before it."""

DIGEST_BYTES = 24
"""Of one entry in ``digests``: its id in 8 bytes, then the first 16 bytes of the SHA-256 of its line."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Seal:
    """One link of the chain: which entries it binds, until when the books were closed by it, and its hash."""

    id: int
    """1 for the first, then without a gap."""
    sealed_at: datetime
    """Nothing is posted at or before this instant any more."""
    last_entry_id: int
    """It binds the entries after the seal before it, up to this one."""
    entries: int
    credits: int
    previous_hash: bytes
    hash: bytes
    facts_hash: bytes | None = None
    """Of the newest facts that were sealed before it; None: there were none."""


def digest(line: bytes) -> bytes:
    """Return id and digest of one entry from its line, as COPY writes it.

    Columns and their order: ``worker.audit.queries.seals``.
    """
    number = int(line[: line.index(b"\t")])
    return number.to_bytes(8, "big", signed=True) + sha256(line).digest()[:16]


def entry_ids(digests: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the id and the digest of each entry, in the order in which they were sealed."""
    for start in range(0, len(digests), DIGEST_BYTES):
        piece = digests[start : start + DIGEST_BYTES]
        yield int.from_bytes(piece[:8], "big", signed=True), piece


def link(
    *,
    id_: int,
    sealed_at: datetime,
    last_entry_id: int,
    entries: int,
    credits_: int,
    previous: bytes,
    digests: bytes,
    facts: bytes | None = None,
) -> Seal:
    """Return the seal over the digests, chained to the hash of the one before and to the newest facts."""
    numbers = f"{id_}\n{_microseconds(sealed_at)}\n{last_entry_id}\n{entries}\n{credits_}\n"
    head = f"{FORMAT}\n{numbers}" if facts is None else f"{FORMAT_WITH_FACTS}\n{numbers}{facts.hex()}\n"
    return Seal(
        id=id_,
        sealed_at=sealed_at,
        last_entry_id=last_entry_id,
        entries=entries,
        credits=credits_,
        previous_hash=previous,
        hash=sha256(head.encode("ascii") + previous + digests).digest(),
        facts_hash=facts,
    )


def is_intact(seal: Seal, *, digests: bytes) -> bool:
    """Whether the seal's hash is the one that its own fields and digests give."""
    made_again = link(
        id_=seal.id,
        sealed_at=seal.sealed_at,
        last_entry_id=seal.last_entry_id,
        entries=seal.entries,
        credits_=seal.credits,
        previous=seal.previous_hash,
        digests=digests,
        facts=seal.facts_hash,
    )
    return made_again.hash == seal.hash and len(digests) == seal.entries * DIGEST_BYTES


def follows(seal: Seal, before: Seal | None) -> bool:
    """Whether the seal is the next link after ``before`` (None: whether it is the first one)."""
    if before is None:
        return seal.id == 1 and seal.previous_hash == NO_SEAL
    is_later = seal.sealed_at >= before.sealed_at and seal.last_entry_id >= before.last_entry_id
    return seal.id == before.id + 1 and seal.previous_hash == before.hash and is_later


def _microseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)
