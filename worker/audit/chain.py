"""The chain of seals is whole: closed periods are as they were sealed, and seals that were written down are in it."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from worker.audit.queries import facts, seals
from worker.audit.rules import fact_seal
from worker.audit.rules import seal as chain
from worker.audit.rules.fact_seal import FactDigest, FactSeal
from worker.audit.rules.seal import Seal
from worker.core.rules.errors import DarkroomError

_COLUMNS = ("entry", "batch", "generation", "kind", "source", "target", "credits", "actor", "reason", "posted_at_us")


@dataclass(frozen=True, kw_only=True)
class Check:
    """One rule, whether it holds, and the first rows that break it."""

    name: str
    rule: str
    broken: int
    """How many rows break it."""
    examples: tuple[Mapping[str, Any], ...]
    notes: tuple[Mapping[str, Any], ...] = ()
    """The first rows that are worth a word although they do not break it."""

    @property
    def ok(self) -> bool:
        """Whether nothing breaks it."""
        return self.broken == 0


@dataclass(kw_only=True)
class _Tally:
    """How many rows break a rule, and the first of them."""

    broken: int = 0
    examples: list[Mapping[str, Any]] = field(default_factory=list)

    def add(self, describe: Callable[[], Mapping[str, Any]]) -> None:
        """Count a row; it is described only if it is one of the first."""
        self.broken += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(describe())

    def check(self, name: str, rule: str) -> Check:
        return Check(name=name, rule=rule, broken=self.broken, examples=tuple(self.examples))


def verify_seals(tx: Connection) -> tuple[Check, ...]:
    """Recompute every digest and hash of the chain from the rows, one seal in memory at a time."""
    links, entries = _Tally(), _Tally()
    before: Seal | None = None
    for seal, digests in seals.walk(tx):
        for fault in _faults(seal, before, digests):
            links.add(partial(dict[str, Any], seal=seal.id, sealed_at=seal.sealed_at, fault=fault))
        _compare(tx, seal, digests, _first(before), entries)
        before = seal
    return (
        links.check("seals", "the seals are an unbroken chain, each with the hash that its own content gives"),
        entries.check("sealed_entries", "every sealed entry is there and as it was sealed, and none was slipped in"),
    )


def _first(before: Seal | None) -> int:
    return chain.LOWEST_ID if before is None else before.last_entry_id + 1


def _faults(seal: Seal, before: Seal | None, digests: bytes) -> Iterator[str]:
    if not chain.is_intact(seal, digests=digests):
        yield "it was changed: its hash is not the one that its content gives"
    if not chain.follows(seal, before):
        place = "the first one" if before is None else f"the one after seal {before.id}"
        yield f"it is not {place}: a seal is missing, was exchanged, or goes back in time"


def _compare(tx: Connection, seal: Seal, digests: bytes, first: int, tally: _Tally) -> None:
    """Compare the digests as a whole, and entry by entry only when they differ."""
    found = b"".join(chain.digest(line) for line in seals.lines(tx, first=first, last=seal.last_entry_id))
    if found == digests:
        return
    strayed = _strayed(tx, seal)
    sealed, present = dict(chain.entry_ids(digests)), dict(chain.entry_ids(found))
    for number in sorted(sealed.keys() | present.keys()):
        if sealed.get(number) != present.get(number):
            tally.add(partial(_example, tx, seal, number, _what(number, sealed, present), strayed))


def _what(number: int, sealed: Mapping[int, bytes], present: Mapping[int, bytes]) -> str:
    if number not in present:
        return "deleted"
    return "changed" if number in sealed else "inserted"


def _example(tx: Connection, seal: Seal, number: int, what: str, strayed: str) -> Mapping[str, Any]:
    example: dict[str, Any] = {"entry": number, "seal": seal.id, "what": what, "evidence": strayed}
    for line in seals.lines(tx, first=number, last=number):
        values = line.decode("utf-8").split("\t")
        example |= {f"now_{name}": value for name, value in zip(_COLUMNS, values, strict=True) if name != "entry"}
    return example


def _strayed(tx: Connection, seal: Seal) -> str:
    """Return what the roll-up, which was made with the seal, still knows of the entries as they were."""
    rows = seals.changed_sums(tx, seal.id, limit=EXAMPLES)
    if not rows:
        return "the seal's sums are unharmed: what differs is generation, actor, reason or the time of day"
    return "; ".join(
        f"{r['kind']} {r['source']} to {r['target']} of batch {r['batch']} on {r['day']}: sealed"
        f" {r['sealed_credits']} credits in {r['sealed_entries']} entries, now {r['found_credits']} in"
        f" {r['found_entries']}"
        for r in rows
    )


def verify_facts(tx: Connection) -> tuple[Check, ...]:
    """Recompute every digest of every closed period from the rows, and the hashes of their chain."""
    known = {seal.id: seal for seal in seals.read_all(tx)}
    sealed = facts.read_all(tx)
    links = [*_broken_links(sealed, known), *_unknown_facts(sealed, known)]
    changed = list(_changed(tx, sealed, known))
    return (
        _check("fact_seals", "the seals of facts are an unbroken chain, and each that a seal names is there", links),
        _check(
            "sealed_facts",
            "every call, reading, change, image, job and cap of a closed period is there and as it was sealed",
            changed,
        ),
    )


def _check(name: str, rule: str, found: list[Mapping[str, Any]]) -> Check:
    return Check(name=name, rule=rule, broken=len(found), examples=tuple(found[:EXAMPLES]))


def _broken_links(sealed: list[FactSeal], known: Mapping[int, Seal]) -> Iterator[Mapping[str, Any]]:
    before: FactSeal | None = None
    for each in sealed:
        seal = known.get(each.seal_id)
        if seal is None or not fact_seal.is_intact(each, seal):
            yield {"seal": each.seal_id, "fault": "it, or its seal, was changed: its hash is not that of its content"}
        if not fact_seal.follows(each, before):
            yield {"seal": each.seal_id, "fault": "the one before it is missing or was exchanged"}
        if not facts.is_complete([digest.kind for digest in fact_seal.parse(each.digests)]):
            yield {"seal": each.seal_id, "fault": "it does not have every kind of fact"}
        before = each


def _unknown_facts(sealed: list[FactSeal], known: Mapping[int, Seal]) -> Iterator[Mapping[str, Any]]:
    """Yield each seal that names facts which are not those that were the newest before it."""
    made = {each.hash: each.seal_id for each in sealed}
    for seal in known.values():
        if seal.facts_hash is not None and made.get(seal.facts_hash, seal.id) >= seal.id:
            yield {"seal": seal.id, "fault": "the facts that it names are not there any more"}


def _changed(tx: Connection, sealed: list[FactSeal], known: Mapping[int, Seal]) -> Iterator[Mapping[str, Any]]:
    before: Seal | None = None
    for each in sealed:
        seal = known.get(each.seal_id)
        if seal is None:
            continue
        period = facts.period(before, seal)
        for was in fact_seal.parse(each.digests):
            if was.kind not in facts.DIGESTS:
                yield {"facts": was.kind, "seal": seal.id, "what": "of a kind that this version does not know"}
                continue
            found = facts.find(tx, was.kind, period)
            if found.digest != was or found.altered:
                yield {
                    "facts": was.kind,
                    "seal": seal.id,
                    "after": None if before is None else before.sealed_at,
                    "until": seal.sealed_at,
                    "what": _fact_what(was, found),
                    "sealed_rows": was.rows,
                    "found_rows": found.digest.rows,
                }
        before = seal


def _fact_what(sealed: FactDigest, found: facts.Found) -> str:
    if found.digest == sealed:
        return "changed since it was erased"
    if found.digest.rows == sealed.rows:
        return "changed"
    return "deleted" if found.digest.rows < sealed.rows else "inserted"


EXAMPLES = 10
"""How many of the rows that break a rule are shown."""


_LOGGED = re.compile(r"\bledger\.sealed\b")
_NUMBER = re.compile(r"""\bseal["']?\s*[=:]\s*["']?(\d+)""")
_HASH = re.compile(r"""\bhash["']?\s*[=:]\s*["']?([0-9a-f]{64})""")
_EVIDENCE = "*.evidence.json"


class NoAnchor(DarkroomError):
    """A file holds no hash of a seal."""

    error_code = "no_seal_in_file"
    exit_code = 2

    def __init__(self, path: Path) -> None:
        """Keep which one."""
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        """Return the message, with what to give instead."""
        return f"{self.path} names no seal: give evidence files, their folder, or a log with lines of ledger.sealed"


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """The number and the hash of a seal as they were recorded outside the database."""

    where: str
    seal: int
    hash: str


def read_anchors(paths: Sequence[Path]) -> list[Anchor]:
    """Return every anchor of evidence files, of JSON reports, of folders of evidence and of logs; raise NoAnchor."""
    found: list[Anchor] = []
    for path in paths:
        files = sorted(path.glob(_EVIDENCE)) if path.is_dir() else [path]
        read_here = [anchor for file in files for anchor in _of(file)]
        if not read_here:
            raise NoAnchor(path)
        found += read_here
    return found


def check_anchors(tx: Connection, anchors: Sequence[Anchor]) -> Check:
    """Return which of the anchors the chain does not contain, the oldest seal first: from there on it was made anew."""
    hashes = seals.hashes(tx, {anchor.seal for anchor in anchors})
    strayed = [anchor for anchor in anchors if hashes.get(anchor.seal) != anchor.hash]
    strayed.sort(key=lambda anchor: anchor.seal)
    return Check(
        name="anchors",
        rule="every seal that was written down elsewhere is in the chain, with the same hash",
        broken=len(strayed),
        examples=tuple(_anchor_example(anchor, hashes.get(anchor.seal)) for anchor in strayed[:EXAMPLES]),
    )


def _anchor_example(anchor: Anchor, now: str | None) -> dict[str, Any]:
    fault = (
        "it is gone: the end of the chain was cut off"
        if now is None
        else "it has another hash: the chain was cut at or before it, and sealed anew"
    )
    return {"seal": anchor.seal, "written_down_in": anchor.where, "hash": anchor.hash, "now": now, "fault": fault}


def _of(file: Path) -> Iterator[Anchor]:
    content = file.read_text(encoding="utf-8", errors="replace")
    try:
        document = json.loads(content)
    except ValueError:
        yield from _logged(file, content)
        return
    if isinstance(document, dict):
        evidence = document.get("evidence", document)
        seal = evidence.get("seal") if isinstance(evidence, dict) else None
        if isinstance(seal, dict) and isinstance(seal.get("number"), int) and isinstance(seal.get("hash"), str):
            yield Anchor(where=file.name, seal=seal["number"], hash=seal["hash"])
        else:
            yield from _logged(file, content)


def _logged(file: Path, content: str) -> Iterator[Anchor]:
    """Read the lines that each sealing writes into the log, as text for people or as JSON."""
    for line in content.splitlines():
        if not _LOGGED.search(line):
            continue
        number, hash_ = _NUMBER.search(line), _HASH.search(line)
        if number and hash_:
            yield Anchor(where=file.name, seal=int(number[1]), hash=hash_[1])
