"""Reports from the journal: every entry, every change by a person, and the whole life of one image."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row

from worker.audit.queries import journal
from worker.audit.queries.query import Query
from worker.audit.reports.report import Cell, Report, ReportQuery, Section, columns

ENTRIES = columns(
    "id:count posted_at:instant batch_id batch owner job_id key model generation_id number:count kind source target"
    " credits:credits actor reason"
)


def export(tx: Connection, asked: ReportQuery) -> Report:
    """Return the entries in the order of writing."""
    query = journal.entries(asked.scope)
    rows = [tuple(row) for row in query.stream(tx)]
    return Report(
        name=asked.report,
        title="Entries of the ledger",
        as_of=asked.as_of,
        parameters=asked.parameters,
        sections=(Section(name="entries", columns=ENTRIES, rows=rows),),
        queries=(query,),
    )


_COLUMNS = columns("changed_at:instant subject field before after actor login reason id")


def changes(tx: Connection, asked: ReportQuery) -> Report:
    """Return every change up to the instant, oldest first."""
    query = journal.changes(as_of=asked.as_of, subject=asked.subject)
    rows = [tuple(row) for row in query.rows(tx)]
    return Report(
        name=asked.report,
        title="Changes by persons",
        as_of=asked.as_of,
        parameters=asked.parameters,
        sections=(Section(name="changes", columns=_COLUMNS, rows=rows),),
        queries=(query,),
    )


_FACTS = columns("fact value")
_GENERATIONS = columns(
    "number:count id idempotency_key account admitted_at:instant held:credits body_sha256 sends:count"
    " first_sent_at:instant provider_id decided_at:instant reserved:credits matched_at:instant spent:credits"
)
_ENTRIES = columns("id:count posted_at:instant number:count kind source target credits:credits actor reason")
_FILES = columns("number:count path sha256 size_bytes:count mime_type width:count height:count stored_at:instant")
_CALLS = columns(
    "id:count started_at:instant ended_at:instant number:count kind send:count idempotency_key outcome"
    " http_status:count code message request_id provider_id size_bytes:count"
)


def job(tx: Connection, asked: ReportQuery) -> Report:
    """Return all that was written down about the job up to the instant."""
    assert asked.job_id is not None
    facts = journal.job(asked.job_id)
    parts = (
        ("generations", _GENERATIONS, journal.generations_of_job(asked.job_id, as_of=asked.as_of)),
        ("entries", _ENTRIES, journal.entries_of_job(asked.job_id, as_of=asked.as_of)),
        ("files", _FILES, journal.images_of_job(asked.job_id, as_of=asked.as_of)),
        ("calls", _CALLS, journal.calls_of_job(asked.job_id, as_of=asked.as_of)),
    )
    found = [Section(name="job", columns=_FACTS, rows=_facts(facts.rows(tx)))]
    found += [Section(name=name, columns=cols, rows=_plain(tx, query)) for name, cols, query in parts]
    return Report(
        name=asked.report,
        title=f"Job {asked.job_id}",
        as_of=asked.as_of,
        parameters=asked.parameters,
        sections=tuple(found),
        queries=(facts, *(query for _, _, query in parts)),
    )


def _facts(rows: Sequence[Row[Any]]) -> list[tuple[Cell, ...]]:
    """Turn the one row into a line for each of its facts."""
    return [(name, _shown(value)) for row in rows for name, value in row._mapping.items()]  # noqa: SLF001 - documented


def _shown(value: Any) -> Cell:
    return json.dumps(value, ensure_ascii=False, sort_keys=True) if isinstance(value, dict) else value


def _plain(tx: Connection, query: Query) -> list[tuple[Cell, ...]]:
    return [tuple(row) for row in query.rows(tx)]
