"""Every line of a batch as scripts read it: jobs and refused lines, in the order of the manifest."""

import csv
import json
from collections.abc import Iterable, Iterator
from heapq import merge
from typing import IO, Any
from uuid import UUID

from worker.batches.queries import results
from worker.batches.queries.results import Outcome, RefusedLine
from worker.cli.lookup import fault_as_json
from worker.core.db.session import Database
from worker.core.rules.plain_text import without_formula
from worker.storage.store import Store


def lines(database: Database, store: Store, batch_id: UUID) -> Iterator[dict[str, Any]]:
    """Yield one object per line; line 0 is a fault of the batch itself."""
    jobs = (job_as_json(each, store) for each in results.outcomes(database, batch_id))
    yield from merge(jobs, refused(database, batch_id), key=lambda each: int(each["line"]))


def refused(database: Database, batch_id: UUID) -> Iterator[dict[str, Any]]:
    """Return the lines that were not taken."""
    return (_refused(each) for each in results.refused_lines(database, batch_id))


WITHOUT_IMAGE = frozenset({"failed", "in_doubt", "cancelled", "refused"})
"""States of lines that have ended without an image."""

_CSV = ("line", "key", "state", "file", "sha256", "bytes", "mime_type", "width", "height")


def write_csv(found: Iterable[dict[str, Any]], stream: IO[str]) -> int:
    """Write lines as CSV with a header; gives how many.

    A text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*_CSV, "credits", "error_code", "error_message", "prompt", "metadata"])
    count = 0
    for each in found:
        error = each["error"] or {}
        metadata = json.dumps(each["metadata"], ensure_ascii=False) if each["metadata"] else ""
        values = [each[name] for name in _CSV]
        values += [each["credits"]["spent"], error.get("code"), error.get("message"), each["prompt"], metadata]
        writer.writerow([_cell(value) for value in values])
        count += 1
    return count


def _cell(value: object) -> object:
    return without_formula(value) if isinstance(value, str) else value


def job_as_json(found: Outcome, store: Store) -> dict[str, Any]:
    """The line of one job as scripts read it."""
    image = found.result
    return {
        "line": found.line,
        "key": found.key,
        "state": found.state.value,
        "file": None if image is None else store.location(image.path),
        "stored_elsewhere": None if image is None else found.is_stored_elsewhere,
        "sha256": None if image is None else image.sha256,
        "bytes": None if image is None else image.size_bytes,
        "mime_type": None if image is None else image.mime_type,
        "width": None if image is None else image.width,
        "height": None if image is None else image.height,
        "as_ordered": None if image is None else not found.not_as_ordered,
        "not_as_ordered": [each.value for each in found.not_as_ordered],
        "credits": {
            "held": found.held,
            "reserved": found.reserved,
            "final": found.final,
            "spent": found.spent,
        },
        "provider_id": found.provider_id,
        "generations": found.generations,
        "reference": _references(found),
        "error": _error(found),
        "model": found.model,
        "prompt": found.prompt,
        "params": found.params,
        "metadata": found.metadata,
    }


def _references(found: Outcome) -> str | list[str] | None:
    """Return what a manifest would say: nothing, one name, or a list."""
    names = [f"sha256:{sha256}" for sha256 in found.references]
    return names if len(names) > 1 else next(iter(names), None)


def _error(found: Outcome) -> dict[str, Any] | None:
    if found.error_code is None:
        return None
    return {"code": found.error_code, "message": found.error_message, "request_id": found.request_id}


def _refused(found: RefusedLine) -> dict[str, Any]:
    first = found.faults[0]
    nothing = dict.fromkeys(("file", "stored_elsewhere", "sha256", "bytes", "mime_type", "width", "height"))
    return {
        "line": found.line,
        "key": first.key,
        "state": "refused",
        **nothing,
        "as_ordered": None,
        "not_as_ordered": [],
        "credits": {"held": None, "reserved": None, "final": None, "spent": 0},
        "provider_id": None,
        "generations": 0,
        "reference": None,
        "error": {
            "code": "invalid_line",
            "message": "; ".join(f"{fault.field}: {fault.reason}" for fault in found.faults),
            "request_id": None,
            "faults": [fault_as_json(fault) for fault in found.faults],
        },
        "model": None,
        "prompt": None,
        "params": None,
        "metadata": None,
    }
