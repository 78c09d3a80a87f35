"""How facts beside the ledger are sealed: a digest per kind, and a hash chained to the seals and to each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from worker.audit.rules.seal import NO_SEAL, Seal

FORMAT = "darkroom facts 1"
"""Part of every hash; another set of columns or way to write them is another format."""


class ErasableKind(StrEnum):
    """Kinds of facts whose rows an erasure may change; each other kind has no text of a producer."""

    BATCH = "batch"
    JOB = "job"
    REQUEST = "request"
    SALTED_BATCH = "salted_batch"
    SALTED_JOB = "salted_job"
    SALTED_REQUEST = "salted_request"
    OUTCOME = "outcome"
    CALL = "call"
    GENERATION_READING = "generation_reading"


@dataclass(frozen=True, kw_only=True)
class FactDigest:
    """What one kind of fact was in a closed period."""

    kind: str
    rows: int
    sha256: str
    """In hexadecimal, over the SHA-256 of each row in the order of their keys."""

    def __str__(self) -> str:
        """Write it as a line of ``digests``."""
        return f"{self.kind} {self.rows} {self.sha256}"


@dataclass(frozen=True, kw_only=True)
class FactSeal:
    """Binds the facts of the periods of all seals after the one before it, up to its own."""

    seal_id: int
    digests: str
    previous_hash: bytes
    hash: bytes


def link(seal: Seal, digests: Sequence[FactDigest], before: FactSeal | None) -> FactSeal:
    """Return the facts' seal for the period up to ``seal``."""
    lines = "\n".join(str(each) for each in digests)
    previous = NO_SEAL if before is None else before.hash
    return FactSeal(
        seal_id=seal.id, digests=lines, previous_hash=previous, hash=_hash(seal.id, seal.hash, lines, previous)
    )


def is_intact(facts: FactSeal, seal: Seal) -> bool:
    """Whether its hash is the one that its own content and its seal give."""
    return facts.hash == _hash(facts.seal_id, seal.hash, facts.digests, facts.previous_hash)


def follows(facts: FactSeal, before: FactSeal | None) -> bool:
    """Whether it is the next link after ``before``."""
    return facts.previous_hash == (NO_SEAL if before is None else before.hash)


def parse(digests: str) -> list[FactDigest]:
    """Read the lines back; a line that is none is a kind without rows, which no period has."""
    found = []
    for line in digests.splitlines():
        kind, _, rest = line.partition(" ")
        rows, _, digest = rest.partition(" ")
        found.append(FactDigest(kind=kind, rows=int(rows) if rows.isdecimal() else -1, sha256=digest))
    return found


def _hash(seal_id: int, seal_hash: bytes, digests: str, previous: bytes) -> bytes:
    head = f"{FORMAT}\n{seal_id}\n{seal_hash.hex()}\n{digests}\n"
    return sha256(head.encode("utf-8") + previous).digest()
