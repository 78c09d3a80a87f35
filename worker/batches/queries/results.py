"""What came of every line of a batch, in the order of its lines, a page at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.db.session import Database
from worker.core.rules.as_ordered import Deviation, SizePolicy, counted
from worker.core.rules.fault import Fault
from worker.core.rules.job import JobState
from worker.core.rules.model_params import ParamValue
from worker.engine.queries import batches
from worker.engine.queries.results import Stored

PAGE = 1_000
"""Lines that are read at once; each page is a short transaction, so that a slow reader holds nothing open."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """One job with its last generation and its image; credits are those of the ledger's own figures."""

    job_id: UUID
    line: int
    key: str
    state: JobState
    model: str
    prompt: str
    params: Mapping[str, ParamValue]
    metadata: Mapping[str, Any]
    references: tuple[str, ...]
    """The hashes of its references, in their order."""
    reference_name: str | None
    generations: int
    provider_id: str | None
    held: int | None
    reserved: int | None
    final: int | None
    spent: int
    """Final credits of all its generations."""
    error_code: str | None
    error_message: str | None
    request_id: str | None
    ended_at: datetime | None
    result: Stored | None
    not_as_ordered: tuple[Deviation, ...] = ()
    """In what its image differs from what was ordered, as far as that counts for its batch."""
    is_stored_elsewhere: bool = False
    """Whether its image was put into another store than the account's present one, which may have no copy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RefusedLine:
    """A line that was not taken, with all its faults."""

    line: int
    faults: tuple[Fault, ...]


_SELECT = """
    SELECT j.id, j.line, j.key, j.state, j.model, j.prompt, j.params, j.extra, j.reference_hash, j.further_references,
        f.name AS reference_name, j.generations, g.provider_id, g.held, g.reserved, g.final,
        coalesce((SELECT sum(final) FROM generation WHERE job_id = j.id), 0)::bigint AS spent,
        j.failure_code, j.failure_message, j.request_id, j.ended_at,
        r.path, r.sha256, r.size_bytes, r.mime_type, r.width, r.height, r.frames, r.not_as_ordered, b.size_policy,
        r.store_id, r.store_id <> a.store_id AS is_stored_elsewhere
    FROM job j JOIN batch b ON b.id = j.batch_id JOIN account a ON a.id = b.account_id
    LEFT JOIN LATERAL (SELECT * FROM generation WHERE job_id = j.id ORDER BY number DESC LIMIT 1) g ON true
    LEFT JOIN result r ON r.job_id = j.id
    LEFT JOIN reference f ON f.sha256 = j.reference_hash
"""
_PAGE = text(f"""{_SELECT}
    WHERE j.batch_id = :batch_id AND (j.line, j.id) > (:line, :id)
    ORDER BY j.line, j.id LIMIT :limit""")
_OF_JOBS = text(f"{_SELECT} WHERE j.id = ANY(:ids)")

_FAULTY = frozenset({JobState.FAILED, JobState.IN_DOUBT})


def outcomes(database: Database, batch_id: UUID) -> Iterator[Outcome]:
    """Yield every job of the batch in line order, each page as it stands when it is read."""
    line, last = -1, UUID(int=0)
    while True:
        with database.transaction() as tx:
            asked = {"batch_id": batch_id, "line": line, "id": last, "limit": PAGE}
            rows = tx.execute(_PAGE, asked).all()
        yield from map(_outcome, rows)
        if len(rows) < PAGE:
            return
        line, last = rows[-1].line, rows[-1].id


def of_jobs(tx: Connection, ids: Sequence[UUID]) -> dict[UUID, Outcome]:
    """Return what came of these jobs, by id."""
    return {row.id: _outcome(row) for row in tx.execute(_OF_JOBS, {"ids": list(ids)})} if ids else {}


def refused_lines(database: Database, batch_id: UUID) -> list[RefusedLine]:
    """Return every line that was not taken, in order; line 0 is the batch itself."""
    with database.transaction() as tx:
        faults = batches.faults(tx, batch_id)
    by_line: dict[int, list[Fault]] = {}
    for fault in faults:
        by_line.setdefault(fault.line, []).append(fault)
    return [RefusedLine(line=line, faults=tuple(found)) for line, found in by_line.items()]


def _outcome(row: Any) -> Outcome:
    state = JobState(row.state)
    has_error = state in _FAULTY
    return Outcome(
        job_id=row.id,
        line=row.line,
        key=row.key,
        state=state,
        model=row.model,
        prompt=row.prompt,
        params=row.params,
        metadata=row.extra,
        references=() if row.reference_hash is None else (row.reference_hash, *(row.further_references or ())),
        reference_name=row.reference_name,
        generations=row.generations,
        provider_id=row.provider_id,
        held=row.held,
        reserved=row.reserved,
        final=row.final,
        spent=row.spent,
        error_code=row.failure_code if has_error else None,
        error_message=row.failure_message if has_error else None,
        request_id=row.request_id if has_error else None,
        ended_at=row.ended_at,
        result=_stored(row),
        is_stored_elsewhere=bool(row.is_stored_elsewhere),
        not_as_ordered=counted(row.not_as_ordered or (), SizePolicy(row.size_policy)),
    )


def _stored(row: Any) -> Stored | None:
    if row.path is None:
        return None
    return Stored(
        path=row.path,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        mime_type=row.mime_type,
        width=row.width,
        height=row.height,
        frames=row.frames,
        not_as_ordered=tuple(row.not_as_ordered),
        store_id=row.store_id,
    )
