"""A job as COPY reads it: the columns that are known before its batch is, encoded once."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from uuid import UUID

from worker.core.rules.canonical import canonical, canonical_values
from worker.core.rules.job import JobState
from worker.core.rules.models_catalogue import MODELS
from worker.intake.rules.request import JobRequest, fingerprint

COPY = """
    COPY job (id, batch_id, state, created_at, line, key, model, prompt, params, reference_hash,
              further_references, extra, fingerprint, price) FROM STDIN WITH (ENCODING 'UTF8')"""

_AT_ONCE = 1_000
"""Rows that are handed over together: each call of the driver costs more than a row does."""


def row_of(request: JobRequest, references: Sequence[str]) -> bytes:
    """Return what is known of a job's row, in the order of the columns from ``line`` on, with its line feed."""
    cells = (
        str(request.line),
        _escaped(request.key),
        request.model,
        _escaped(request.prompt),
        _escaped(canonical_values(request.params)),
        references[0] if references else "\\N",
        _array(references[1:]),
        _escaped(canonical(request.metadata)),
        fingerprint(request, references),
        str(MODELS[request.model].credits),
    )
    return ("\t".join(cells) + "\n").encode()


def completed(rows: Iterable[bytes], *, batch_id: UUID, now: datetime, new_id: Callable[[], UUID]) -> Iterator[bytes]:
    """Yield the rows with an id, their batch, state and time before them, many in each piece."""
    shared = f"\t{batch_id}\t{JobState.PENDING}\t{now.isoformat()}\t".encode()
    rest = iter(rows)
    while some := list(islice(rest, _AT_ONCE)):
        yield b"".join(new_id().hex.encode() + shared + row for row in some)


def _array(hashes: Sequence[str]) -> str:
    return f"{{{','.join(hashes)}}}" if hashes else "\\N"


def _escaped(text: str) -> str:
    """Write what COPY's text format would take for its own signs with a backslash (PostgreSQL, COPY, text format)."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
