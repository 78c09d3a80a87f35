"""Whether a printed report is still what was printed: against its evidence, and against the books themselves."""

import hashlib
from collections.abc import Mapping
from typing import Any

from worker.audit.evidence import Printed, printed
from worker.audit.reports import again
from worker.db import closing
from worker.db.session import Database
from worker.domain.reporting import Format


class NoEvidence(Exception):
    """What should be evidence cannot be read as such."""

    def __init__(self, reason: str) -> None:
        """Keep the reason."""
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        """Say it."""
        return f"this is no evidence of Darkroom: {self.reason}"


def against_evidence(found: Printed) -> list[str]:
    """Say what of the body contradicts its evidence; nothing when it is what was printed."""
    try:
        body, sqls = found.evidence["body"], found.evidence["queries"]
        known, size = body["sha256"], body["bytes"]
        altered = [each["name"] for each in sqls if hashlib.sha256(each["sql"].encode()).hexdigest() != each["sha256"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise NoEvidence(f"{error} is missing or damaged") from error
    faults = [f"the text of the query {name!r} is not the one that its hash names" for name in altered]
    actual = hashlib.sha256(found.body).hexdigest()
    if actual != known:
        faults.append(
            f"the body was changed: it has {len(found.body):,} bytes and the SHA-256 {actual},"
            f" the evidence says {size:,} bytes and {known}"
        )
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
    faults = []
    if old.get("seal") != new["seal"]:
        faults.append(f"the seal of that instant is another one: {old.get('seal')} then, {new['seal']} now")
    if old.get("rows") != new["rows"]:
        faults.append(f"it has {new['rows']:,} rows now and had {old.get('rows')}")
    totals = old.get("control_totals") or {}
    for name, value in new["control_totals"].items():
        if totals.get(name) != value:
            faults.append(f"the control total {name} is {value:,} now and was {totals.get(name)}")
    return faults


def _because(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    same_code = old.get("code") == new["code"]
    return "" if same_code else f" (the code is another one too: {old.get('code')} then, {new['code']} now)"
