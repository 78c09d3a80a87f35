"""Whether a printed report is still what was printed: against its evidence, and against the books themselves."""

import hashlib
from collections.abc import Mapping
from typing import Any

from worker.audit.evidence import Printed, own_sha256, printed
from worker.audit.queries import closing
from worker.audit.recount import recounted
from worker.audit.reports import again
from worker.audit.rules.reporting import Format
from worker.core.db.session import Database


class NoEvidence(Exception):
    """What should be evidence cannot be read as such."""

    def __init__(self, reason: str) -> None:
        """Keep the reason."""
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        """Return the message."""
        return f"this is not an evidence file of Darkroom: {self.reason}"


def against_evidence(found: Printed) -> list[str]:
    """Return how the body contradicts its evidence, or the evidence itself; empty if the report is as printed."""
    evidence = found.evidence
    try:
        body, sqls = evidence["body"], evidence["queries"]
        known, size, own = body["sha256"], body["bytes"], evidence["evidence_sha256"]
        altered = [each["name"] for each in sqls if hashlib.sha256(each["sql"].encode()).hexdigest() != each["sha256"]]
        rows, totals = evidence["rows"], evidence["control_totals"]
        counted = recounted(found.body, Format(evidence["format"]), totals)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
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


def against_books(found: Printed, database: Database) -> list[str]:
    """Print the report once more and say what is different; nothing when every byte is the same."""
    try:
        asked = again(found.evidence["report"], found.evidence["as_of"], found.evidence["parameters"])
        as_format = Format(found.evidence["format"])
    except (KeyError, TypeError, ValueError) as error:
        raise NoEvidence(str(error)) from error
    with database.transaction() as tx:
        closed = closing.closed_until(tx)
    if closed is None or closed < asked.as_of:
        return [f"these books were never closed up to {found.evidence['as_of']}: this is another database"]
    fresh = printed(database, asked, as_format)
    faults = _differences(found.evidence, fresh.evidence)
    if fresh.body != found.body:
        faults.append("printed again, the report has other bytes" + _because(found.evidence, fresh.evidence))
    return faults


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Compare all of the evidence but the code; another code may ask in other words, which is no fault."""
    is_same_code = old.get("code") == new["code"]
    passed_over = {"code", "evidence_sha256"} | (set() if is_same_code else {"queries", "schema_revision"})
    return [
        f"the evidence says {name} {old.get(name)}, and the books now {new.get(name)}"
        for name in sorted(old.keys() | new.keys())
        if name not in passed_over and old.get(name) != new.get(name)
    ]


def _because(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    same_code = old.get("code") == new["code"]
    return "" if same_code else f" (the code is another one too: {old.get('code')} then, {new['code']} now)"
