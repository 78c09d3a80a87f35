"""Evidence beside a printed report: question, code version, seal and control totals."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from worker.archive.rules.tables import ArchivedRows
from worker.audit.queries import seals
from worker.audit.rendering import render
from worker.audit.rendering.exact import exact, instant, written
from worker.audit.reports import Report, ReportQuery, build
from worker.audit.rules.reporting import Format
from worker.core.db.session import Database
from worker.core.version import version

SUFFIX = ".evidence.json"
"""What the name of an evidence file adds to the name of its report."""


@dataclass(frozen=True, kw_only=True)
class Printed:
    """A report's bytes, and the evidence for them."""

    body: bytes
    evidence: Mapping[str, Any]

    @property
    def evidence_bytes(self) -> bytes:
        """The evidence as it is written into its file."""
        return written(self.evidence)

    @property
    def with_evidence(self) -> bytes:
        """A JSON body with its evidence inside, under ``evidence``."""
        return written({**json.loads(self.body), "evidence": self.evidence})


def printed(database: Database, asked: ReportQuery, as_format: Format, archive: ArchivedRows | None = None) -> Printed:
    """Return the report with its evidence, both from one snapshot; ``archive`` reads archived rows back."""
    with database.bulk_transaction(is_snapshot=True) as tx:
        report = build(tx, asked, archive)
        seal, schema = seals.seal_at(tx, asked.as_of), seals.schema_revision(tx)
    body = render(report, as_format)
    return Printed(body=body, evidence=_evidence(report, body, as_format, seal, schema))


def separated(document: bytes) -> Printed | None:
    """Return the evidence inside a JSON report; None for anything else."""
    try:
        found = json.loads(document)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("evidence"), dict):
        return None
    evidence = found.pop("evidence")
    return Printed(body=written(found), evidence=evidence)


def own_sha256(evidence: Mapping[str, Any]) -> str:
    """Hash the written evidence without its own hash field."""
    rest = {name: value for name, value in evidence.items() if name != "evidence_sha256"}
    return hashlib.sha256(written(rest)).hexdigest()


def _evidence(
    report: Report, body: bytes, as_format: Format, seal: seals.SealMark | None, schema: str
) -> dict[str, Any]:
    found = {
        "report": report.name,
        "format": as_format.value,
        "as_of": instant(report.as_of),
        "parameters": dict(report.parameters),
        "rows": report.row_count,
        "control_totals": report.control_totals,
        "body": {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()},
        "seal": None if seal is None else {"number": seal.id, "sealed_at": instant(seal.sealed_at), "hash": seal.hash},
        "code": {"version": version(), "sources_sha256": sources_sha256()},
        "schema_revision": schema,
        "queries": [
            {
                "name": query.name,
                "sha256": query.sha256,
                "values": {name: exact(value) for name, value in query.values.items()},
                "sql": query.sql,
            }
            for query in report.queries
        ],
    }
    return found | {"evidence_sha256": own_sha256(found)}


_PACKAGE = Path(__file__).resolve().parent.parent
_PARTS = ("audit/**", "core/**", "**/queries", "**/rules")
"""Rules, queries and the reports above them; a test holds that these are all that reports import."""


def sources() -> list[Path]:
    """Return every module that decides what a report says, in the order of their paths."""
    return sorted({path for part in _PARTS for path in _PACKAGE.glob(f"{part}/*.py")})


@cache
def sources_sha256() -> str:
    """Hash name and content of every module that decides what a report says; equal on every machine."""
    digest = hashlib.sha256()
    for path in sources():
        content = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{path.relative_to(_PACKAGE).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()
