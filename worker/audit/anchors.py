"""Hashes of seals that were kept outside the database, and whether the chain still has them."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from worker.audit.chain import EXAMPLES, Check
from worker.audit.queries import seals
from worker.core.rules.errors import DarkroomError

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


def read(paths: Sequence[Path]) -> list[Anchor]:
    """Return every anchor of evidence files, of JSON reports, of folders of evidence and of logs; raise NoAnchor."""
    found: list[Anchor] = []
    for path in paths:
        files = sorted(path.glob(_EVIDENCE)) if path.is_dir() else [path]
        read_here = [anchor for file in files for anchor in _of(file)]
        if not read_here:
            raise NoAnchor(path)
        found += read_here
    return found


def check(tx: Connection, anchors: Sequence[Anchor]) -> Check:
    """Return which of the anchors the chain does not contain, the oldest seal first: from there on it was made anew."""
    hashes = seals.hashes(tx, {anchor.seal for anchor in anchors})
    strayed = [anchor for anchor in anchors if hashes.get(anchor.seal) != anchor.hash]
    strayed.sort(key=lambda anchor: anchor.seal)
    return Check(
        name="anchors",
        rule="every seal that was written down elsewhere is in the chain, with the same hash",
        broken=len(strayed),
        examples=tuple(_example(anchor, hashes.get(anchor.seal)) for anchor in strayed[:EXAMPLES]),
    )


def _example(anchor: Anchor, now: str | None) -> dict[str, Any]:
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
