"""How a report leaves the command: on standard output, or as a file with its evidence beside it."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from worker.audit.evidence import SUFFIX, Printed
from worker.audit.rules.reporting import Format
from worker.cli import output
from worker.cli.errors import MISUSED, CliError
from worker.core.output_files import file_mode

NO_EVIDENCE = "no evidence goes with this copy: -o FILE writes it beside the report, --format json has it inside"


def refuse_unwritable(as_format: Format, to: Path | None) -> None:
    """Raise CliError before any work is done when there is no place for the result."""
    if to is None and as_format is Format.XLSX:
        raise CliError("a workbook needs a file: name one with -o FILE.xlsx", MISUSED)
    if to is not None and (to.is_dir() or not to.absolute().parent.is_dir()):
        raise CliError(f"{to} cannot be written: name a file in a folder that is there", MISUSED)


def write(made: Printed, as_format: Format, to: Path | None) -> None:
    """Print the report, a JSON one with its evidence inside; or write both files, the evidence last."""
    if to is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(made.with_evidence if as_format is Format.JSON else made.body)
        sys.stdout.buffer.flush()
        if as_format is not Format.JSON and not sys.stdout.isatty():
            output.notes().print(NO_EVIDENCE, markup=False)
        return
    _write_whole(to, made.body)
    _write_whole(evidence_of(to), made.evidence_bytes)
    rows = output.plural(made.evidence["rows"], "row")
    output.notes().print(f"{rows} written to {to}, as of {made.evidence['as_of']}", markup=False)
    output.notes().print(f"its evidence: {evidence_of(to)}", markup=False)


def evidence_of(path: Path) -> Path:
    """Return the place of a report's evidence."""
    return path.with_name(path.name + SUFFIX)


def _write_whole(to: Path, content: bytes) -> None:
    try:
        with NamedTemporaryFile(dir=to.absolute().parent, prefix=".report.", suffix=".part", delete=False) as file:
            part = Path(file.name)
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                part.chmod(file_mode())
                part.replace(to)
            finally:
                with suppress(FileNotFoundError):
                    part.unlink()
    except OSError as error:
        raise CliError(f"{to} cannot be written: {error.strerror or error}; choose another path with -o") from error
