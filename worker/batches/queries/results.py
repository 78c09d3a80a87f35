"""Outcomes of every line of a batch, in the order of its lines, a page at a time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.archive.queries import archived
from worker.archive.rules.tables import ArchivedRows
from worker.core.db.session import Database
from worker.core.rules.errors import DarkroomError
from worker.core.rules.fault import Fault
from worker.core.rules.models_catalogue import Deviation, ParamValue, SizePolicy, counted
from worker.core.rules.states import JobState
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
    FROM job j JOIN batch b ON b.id = j.batch_id JOIN account a ON a.id = coalesce(j.account_id, b.account_id)
    LEFT JOIN LATERAL (SELECT * FROM generation WHERE job_id = j.id ORDER BY number DESC LIMIT 1) g ON true
    LEFT JOIN result r ON r.job_id = j.id
    LEFT JOIN reference f ON f.sha256 = j.reference_hash
"""
_PAGE = text(f"""{_SELECT}
    WHERE j.batch_id = :batch_id AND (j.line, j.id) > (:line, :id)
      AND (CAST(:state AS text) IS NULL OR j.state = :state)
      AND (CAST(:code AS text) IS NULL OR coalesce(j.failure_code, 'unknown') = :code)
    ORDER BY j.line, j.id LIMIT :limit""")
_OF_JOBS = text(f"{_SELECT} WHERE j.id = ANY(:ids)")
_FAULTY = frozenset({JobState.FAILED, JobState.IN_DOUBT})


class BatchArchived(DarkroomError):
    """The rows of the batch's jobs are in the store and not in the tables."""

    error_code = "batch_archived"

    def __init__(self, batch_id: UUID) -> None:
        """Keep which batch."""
        super().__init__(batch_id)
        self.batch_id = batch_id

    def __str__(self) -> str:
        """Return the message, with the next step."""
        return (
            f"batch {self.batch_id} is archived: `darkroom results {self.batch_id}` reads its lines from the store,"
            f" `darkroom explain {self.batch_id} KEY` one of them"
        )


def outcomes(database: Database, batch_id: UUID, archive: ArchivedRows | None = None) -> Iterator[Outcome]:
    """Yield every job of the batch in line order, each page as it stands when it is read.

    Those of an archived batch are read back from the ``archive``; raises BatchArchived where it is None.
    """
    with database.transaction() as tx:
        is_elsewhere = archived.is_archived(tx, batch_id)
    if is_elsewhere:
        yield from _archived(database, batch_id, archive)
        return
    line, last = -1, UUID(int=0)
    while True:
        with database.transaction() as tx:
            found = page(tx, batch_id, after=(line, last), limit=PAGE)
        yield from found
        if len(found) < PAGE:
            return
        line, last = found[-1].line, found[-1].job_id


def _archived(database: Database, batch_id: UUID, archive: ArchivedRows | None) -> Iterator[Outcome]:
    if archive is None:
        raise BatchArchived(batch_id)
    line, last = -1, UUID(int=0)
    with database.bulk_transaction(is_snapshot=True) as tx:
        archive.load(tx, [batch_id])
        while found := page(tx, batch_id, after=(line, last), limit=PAGE):
            yield from found
            line, last = found[-1].line, found[-1].job_id


def page(
    tx: Connection,
    batch_id: UUID,
    *,
    after: tuple[int, UUID],
    limit: int,
    state: JobState | None = None,
    code: str | None = None,
) -> list[Outcome]:
    """Return the next jobs of the batch in line order, after a line and the id of its job.

    Only those in a state, or with a failure code, where one is given.
    """
    asked = {"batch_id": batch_id, "line": after[0], "id": after[1], "limit": limit, "state": state, "code": code}
    return [_outcome(row) for row in tx.execute(_PAGE, asked)]


def of_jobs(tx: Connection, ids: Sequence[UUID]) -> dict[UUID, Outcome]:
    """Return the results of these jobs, by id."""
    return {row.id: _outcome(row) for row in tx.execute(_OF_JOBS, {"ids": list(ids)})} if ids else {}


def stored(tx: Connection, job_id: UUID) -> Any:
    """Return path and SHA-256 of the job's image; None when it has none."""
    return tx.execute(text("SELECT path, sha256 FROM result WHERE job_id = :id"), {"id": job_id}).one_or_none()


def batch_of(tx: Connection, job_id: UUID) -> UUID | None:
    """Return the batch that the job belongs to; None when there is no such job."""
    found: UUID | None = tx.execute(text("SELECT batch_id FROM job WHERE id = :id"), {"id": job_id}).scalar()
    return found


def refused_lines(database: Database, batch_id: UUID) -> list[RefusedLine]:
    """Return every line that was not taken, in order; line 0 is the batch itself."""
    with database.transaction() as tx:
        return _by_line(batches.faults(tx, batch_id))


_REFUSED_PAGE = text("""
    SELECT line, key, field, reason, permitted FROM refused_line
    WHERE batch_id = :batch_id AND line IN (
        SELECT DISTINCT line FROM refused_line WHERE batch_id = :batch_id AND line > :after ORDER BY line LIMIT :limit)
    ORDER BY line, id""")


def refused_page(tx: Connection, batch_id: UUID, *, after: int, limit: int) -> list[RefusedLine]:
    """Return the next lines that were not taken, after a line."""
    rows = tx.execute(_REFUSED_PAGE, {"batch_id": batch_id, "after": after, "limit": limit})
    return _by_line(
        Fault(line=r.line, key=r.key, field=r.field, reason=r.reason, permitted=tuple(r.permitted)) for r in rows
    )


def _by_line(faults: Iterable[Fault]) -> list[RefusedLine]:
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


@dataclass(frozen=True, kw_only=True)
class ImagesNotAsOrdered:
    """Images of one model, with or without a reference, that are not as ordered; one may differ in several things."""

    model: str
    with_reference: bool
    images: int
    format: int
    size: int
    animated: int
    example: str
    """The pixels of one of those of another size, such as ``1024 x 1024``; empty: there is none."""

    def __str__(self) -> str:
        """Return the count as a phrase."""
        pixels = f" (such as {self.example})" if self.example else ""
        parts = [
            f"{count:,} of another {name}" for name, count in (("size", self.size), ("format", self.format)) if count
        ]
        if self.size:
            parts[0] += pixels
        if self.animated:
            parts.append(f"{self.animated:,} animated")
        whose = f"{self.model} {'with' if self.with_reference else 'without'} a reference"
        return f"{self.images:,} of {whose}: {', '.join(parts)}"


_OF_BATCH = text("""
    SELECT model, with_reference, count(*) AS images, count(*) FILTER (WHERE 'format' = ANY(odd)) AS format,
           count(*) FILTER (WHERE 'size' = ANY(odd)) AS size, count(*) FILTER (WHERE 'animated' = ANY(odd)) AS animated,
           coalesce(min(pixels) FILTER (WHERE 'size' = ANY(odd)), '') AS example
    FROM (
        SELECT j.model, j.reference_hash IS NOT NULL AS with_reference, r.width || ' x ' || r.height AS pixels,
            CASE WHEN :accepts_size THEN array_remove(r.not_as_ordered, 'size') ELSE r.not_as_ordered END AS odd
        FROM result r JOIN job j ON j.id = r.job_id WHERE j.batch_id = :id AND r.not_as_ordered <> '{}') found
    WHERE odd <> '{}' GROUP BY model, with_reference ORDER BY model, with_reference""")


def count_not_as_ordered(tx: Connection, batch_id: UUID, policy: SizePolicy) -> tuple[ImagesNotAsOrdered, ...]:
    """Count those of a batch, as far as they count under its policy."""
    rows = tx.execute(_OF_BATCH, {"id": batch_id, "accepts_size": policy is SizePolicy.ACCEPT})
    return tuple(ImagesNotAsOrdered(**row) for row in rows.mappings())
