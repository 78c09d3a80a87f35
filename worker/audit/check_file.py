"""Check a printed report: its rows against its evidence, and its figures against the books."""

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from io import StringIO
from typing import Any

from sqlalchemy.exc import DataError

from worker.archive.rules.tables import ArchivedRows
from worker.audit.evidence import Printed, own_sha256, printed, separated
from worker.audit.queries import seals
from worker.audit.reports import again
from worker.audit.rules.reporting import Format
from worker.core.db.session import Database
from worker.core.rules.errors import DarkroomError


class NoEvidence(DarkroomError):
    """The file is not readable evidence."""

    error_code = "evidence_unreadable"

    def __init__(self, reason: str) -> None:
        """Keep the reason."""
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        """Return the message."""
        return f"this is not an evidence file of Darkroom: {self.reason}"


def read(document: bytes, evidence: bytes | None) -> Printed:
    """Return a report with its evidence, which may be inside; raise NoEvidence when there is none that can be read."""
    try:
        if evidence is None:
            inside = separated(document)
            if inside is None:
                raise NoEvidence("it has no evidence inside, and there is none beside it")
            return inside
        found = json.loads(evidence)
    except (ValueError, RecursionError) as error:
        raise NoEvidence(f"it is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise NoEvidence("it is not an object")
    return Printed(body=document, evidence=found)


def rewritten(document: bytes, found: Printed) -> list[str]:
    """Return a fault if a report with its evidence inside differs, byte for byte, from a fresh printing."""
    if document == found.body or document == found.with_evidence:  # noqa: PLR1714 - the second can be made of JSON only
        return []
    return ["the file was changed: written anew, the same report and evidence have other bytes"]


def against_evidence(found: Printed) -> list[str]:
    """Return how the body contradicts its evidence, or the evidence itself; empty if the report is as printed."""
    evidence = found.evidence
    try:
        body, sqls = evidence["body"], evidence["queries"]
        known, size, own = body["sha256"], body["bytes"], evidence["evidence_sha256"]
        altered = [each["name"] for each in sqls if hashlib.sha256(each["sql"].encode()).hexdigest() != each["sha256"]]
        rows, totals = evidence["rows"], evidence["control_totals"]
        counted = recounted(found.body, Format(evidence["format"]), totals)
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise NoEvidence(f"{error} is missing or damaged") from error
    faults = [f"the text of the query {name!r} is not the one that its hash names" for name in altered]
    if own_sha256(evidence) != own:
        faults.append("the evidence was changed: its own SHA-256 is another one")
    actual = hashlib.sha256(found.body).hexdigest()
    if actual != known:
        faults.append(
            f"the body was changed: it has {len(found.body):,} bytes and the SHA-256 {actual},"
            f" the evidence says {size:,} bytes and {known}"
        )
    if counted is not None and counted != (rows, totals):
        faults.append(f"counted again, the rows and control totals are {counted[0]:,} and {counted[1]}")
    return faults


def against_books(found: Printed, database: Database, archive: ArchivedRows | None = None) -> list[str]:
    """Print the report again and return the differences; empty when every byte is equal."""
    try:
        asked = again(found.evidence["report"], found.evidence["as_of"], found.evidence["parameters"])
        as_format = Format(found.evidence["format"])
    except (KeyError, TypeError, ValueError) as error:
        raise NoEvidence(str(error)) from error
    if asked.as_of.tzinfo is None:
        raise NoEvidence(f"its instant {found.evidence['as_of']} has no time zone")
    with database.transaction() as tx:
        closed = seals.closed_until(tx)
    if closed is None or closed < asked.as_of:
        return [f"these books were never closed up to {found.evidence['as_of']}: this is another database"]
    try:
        fresh = printed(database, asked, as_format, archive)
    except DataError as error:
        # No report was ever printed with such values.
        raise NoEvidence(f"the database cannot take its parameters: {error.orig}") from error
    faults = _differences(found.evidence, fresh.evidence)
    if fresh.body != found.body:
        faults.append(
            "regenerated from the ledger, the report has different bytes" + _because(found.evidence, fresh.evidence)
        )
    return faults


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Compare all of the evidence but the code; another code may ask in other words, which is no fault."""
    is_same_code = old.get("code") == new["code"]
    passed_over = {"code", "evidence_sha256"} | (set() if is_same_code else {"queries", "schema_revision"})
    return [
        f"the evidence says {name} {old.get(name)}, and the ledger now {new.get(name)}"
        for name in sorted(old.keys() | new.keys())
        if name not in passed_over and old.get(name) != new.get(name)
    ]


def _because(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    same_code = old.get("code") == new["code"]
    return "" if same_code else f" (the code is another one too: {old.get('code')} then, {new['code']} now)"


def recounted(body: bytes, as_format: Format, known: Mapping[str, int]) -> tuple[int, dict[str, int]] | None:
    """Return the rows and the sums of the ``known`` columns; None for a format that cannot be parsed.

    Raises ValueError for a body that is not in the format.
    """
    if as_format is Format.JSON:
        rows = list(_of_json(body))
    elif as_format is Format.CSV:
        rows = list(_of_csv(body))
    else:
        return None
    return len(rows), {name: _sum(rows, *name.split(".", 1)) for name in known}


def _of_json(body: bytes) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, section in json.loads(body)["sections"].items():
        for row in section["rows"]:
            yield name, row


def _of_csv(body: bytes) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for row in csv.DictReader(StringIO(body.decode(), newline="")):
        yield row["section"], row


def _sum(rows: Iterable[tuple[str, Mapping[str, Any]]], section: str, column: str) -> int:
    return sum(int(row[column] or 0) for name, row in rows if name == section)
