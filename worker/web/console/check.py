"""An uploaded report, compared with its evidence and regenerated from the ledger."""

import io
import zipfile
from dataclasses import dataclass
from typing import IO

from starlette.responses import Response

from worker.audit import check_file
from worker.audit.evidence import SUFFIX
from worker.web.api.bodies import Upload
from worker.web.console.page import Visit
from worker.web.problems import Problem

_MOST_BYTES = 256 << 20
"""Of a report, which is held in memory; also when it is unpacked."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a check found."""

    name: str
    report: str
    as_of: str
    faults: list[str]


def show(visit: Visit) -> Response:
    """Show the form."""
    return visit.render("check.html", verdict=None)


def take(visit: Visit, sent: Upload) -> Response:
    """Check the report as `darkroom audit check` does; nothing of it is kept."""
    if not sent.has_manifest:
        raise Problem(422, "part_missing", "Choose the report.")
    document, evidence = _read(sent)
    found = check_file.read(document, evidence)
    faults = check_file.against_evidence(found) + check_file.rewritten(document, found)
    faults += check_file.against_books(found, visit.context.database, visit.context.archive)
    told = found.evidence
    verdict = Verdict(name=sent.manifest_name, report=str(told["report"]), as_of=str(told["as_of"]), faults=faults)
    return visit.render("check.html", verdict=verdict)


def _read(sent: Upload) -> tuple[bytes, bytes | None]:
    """Return the report, and its evidence where that is not inside it."""
    beside = next((path for name, path in sent.files.items() if name), None)
    sent.manifest.seek(0)
    if beside is None and zipfile.is_zipfile(sent.manifest) and (inside := _unpacked(sent.manifest)) is not None:
        return inside
    sent.manifest.seek(0)
    return _bounded(sent.manifest), None if beside is None else beside.read_bytes()


def _unpacked(archive: IO[bytes]) -> tuple[bytes, bytes] | None:
    """Return what an archive of the page Money has; None for a zip that is none, such as a workbook."""
    try:
        with zipfile.ZipFile(archive) as packed:
            names = packed.namelist()
            name = next((each for each in names if each + SUFFIX in names), None)
            if name is None:
                return None
            with packed.open(name) as document, packed.open(name + SUFFIX) as evidence:
                return _bounded(document), _bounded(evidence)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise Problem(422, "request_invalid", f"The archive cannot be read: {error}.") from None


def _bounded(file: IO[bytes]) -> bytes:
    """Return all of a file; raise Problem for one that is too long, before more of it is unpacked."""
    kept = io.BytesIO()
    while piece := file.read(1 << 20):
        kept.write(piece)
        if kept.tell() > _MOST_BYTES:
            raise Problem(413, "part_too_large", f"A report has at most {_MOST_BYTES:,} bytes here.")
    return kept.getvalue()
