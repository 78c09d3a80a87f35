"""Rows become checked requests: the one validation of all ingestion interfaces."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from worker.core.rules.fault import Fault
from worker.intake.manifest.lines import Row
from worker.intake.manifest.references import Located, resolve_references
from worker.intake.rules.request import JobRequest, Keys, validate


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckedRequest:
    """A request within every limit, its key new in the batch, and where its references are."""

    request: JobRequest
    references: tuple[Located, ...]


def checked(
    rows: Iterable[Row | Fault], *, base: Path | None, extra: Collection[str] = frozenset()
) -> Iterator[CheckedRequest | Fault]:
    """Every good request and every fault, in order; a line with several faults gives all of them.

    ``base`` is the folder that paths are relative to; None where no path is permitted. The bytes of a
    reference are not read. Columns in ``extra`` are metadata although they look like others.
    """
    keys = Keys()
    for row in rows:
        if isinstance(row, Fault):
            yield row
        else:
            yield from _checked_row(row, keys, base, extra)


def _checked_row(row: Row, keys: Keys, base: Path | None, extra: Collection[str]) -> Iterator[CheckedRequest | Fault]:
    request = validate(row.raw, row.line, extra=extra)
    if isinstance(request, tuple):
        yield from request
        return
    twice = keys.add(request.key, request.line)
    found = resolve_references(request, base)
    faults = [each for each in (twice, *found) if isinstance(each, Fault)]
    yield from faults
    if not faults:
        references = tuple(each for each in found if not isinstance(each, Fault))
        yield CheckedRequest(request=request, references=references)
