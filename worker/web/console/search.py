"""Search over all jobs and batches; a search that takes too long is ended by the server, and the page says so."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from psycopg import errors
from sqlalchemy.exc import DBAPIError
from starlette.responses import Response

from worker.archive.queries import archived
from worker.engine.queries.batches import BatchRow
from worker.web.console.page import Visit
from worker.web.problems import Problem
from worker.web.queries import batch_list, search
from worker.web.queries.batch_list import Filter
from worker.web.queries.search import Hit, Kind

TIMEOUT_MS = 2_000
"""Of each kind of search."""
_PAGE = 20
_LABELS = {
    Kind.ID: "By id",
    Kind.KEY: "By key",
    Kind.SKU: "By SKU",
    Kind.LINE: "By line",
    Kind.ERROR: "By error",
}


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one kind of search gave; ``is_cut``: the server ended it."""

    kind: Kind
    label: str
    hits: Sequence[Hit]
    following: UUID | None
    is_cut: bool = False


@dataclass(frozen=True, kw_only=True)
class Archive:
    """How many batches are archived and not searched, and the id of a job that may be in one of them."""

    batches: int
    job_id: UUID | None = None


def show(visit: Visit) -> Response:
    """Show the page; without words it says what can be searched for."""
    words = visit.asked("q").replace("\0", "")
    if not words:
        return visit.render(
            "search.html",
            words="",
            found=[],
            batches=[],
            cut=[],
            has_errors_left=False,
            timeout_s=TIMEOUT_MS // 1000,
            archive=Archive(batches=0),
        )
    kinds, after = _asked(visit)
    found: list[Found] = []
    for kind in kinds:
        if kind is not Kind.ERROR or len(kinds) == 1 or not _is_name(words, found):
            found.append(_search(visit, kind, words, after))
    return visit.render(
        "search.html",
        words=words,
        found=[each for each in found if each.hits],
        batches=_batches(visit, words) if len(kinds) > 1 else [],
        cut=[each.label.lower() for each in found if each.is_cut],
        has_errors_left=len(found) < len(kinds),
        timeout_s=TIMEOUT_MS // 1000,
        archive=_archive(visit, words, found),
    )


def _archive(visit: Visit, words: str, found: Sequence[Found]) -> Archive:
    """Return what the search leaves out; no file is read for it."""
    try:
        job_id = UUID(words)
    except ValueError:
        job_id = None
    is_found = any(each.kind is Kind.ID and each.hits for each in found)
    with visit.context.database.transaction() as tx:
        may_have = job_id is not None and not is_found and bool(archived.files_of_job(tx, job_id))
        return Archive(batches=archived.count(tx), job_id=job_id if may_have else None)


def _is_name(words: str, found: Sequence[Found]) -> bool:
    """Whether the words name one thing, or a line: the search of errors, which reads the most, is then only offered."""
    named = [hit.key == words or each.kind is Kind.ID for each in found for hit in each.hits]
    return any(named) or words.lower().startswith("line ")


def _asked(visit: Visit) -> tuple[Sequence[Kind], UUID | None]:
    """Return which kinds are asked for: all of them, or the next page of one."""
    kind, after = visit.asked("kind"), visit.asked("after")
    try:
        return (tuple(Kind) if not kind else (Kind(kind),)), (UUID(after) if kind and after else None)
    except ValueError:
        raise Problem(404, "not_found", "This page of the search is not known: search again.") from None


def _search(visit: Visit, kind: Kind, words: str, after: UUID | None) -> Found:
    """Search in a transaction of its own, so that one that is ended leaves the others their answers."""
    try:
        with visit.context.database.transaction() as tx:
            search.limit_time(tx, TIMEOUT_MS)
            hits = search.find(tx, kind, words, after=after, limit=_PAGE + 1)
    except DBAPIError as error:
        if not isinstance(error.orig, errors.QueryCanceled):
            raise
        return Found(kind=kind, label=_LABELS[kind], hits=(), following=None, is_cut=True)
    following = hits[_PAGE - 1].id if len(hits) > _PAGE else None
    return Found(kind=kind, label=_LABELS[kind], hits=hits[:_PAGE], following=following)


def _batches(visit: Visit, words: str) -> list[BatchRow]:
    with visit.context.database.transaction() as tx:
        return [row for row, _ in batch_list.page(tx, Filter(words=words), after=None, limit=5)]
