"""The log of outside calls: one row each, written in the transaction that records its outcome."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.db.statements import Row, StatementPart
from worker.core.rules.errors import Refused
from worker.engine.rules.call import Call, CallKind, CallOutcome

_COLUMNS = {
    "account_id": "uuid",
    "generation_id": "uuid",
    "kind": "text",
    "started_at": "timestamptz",
    "ended_at": "timestamptz",
    "outcome": "text",
    "http_status": "int",
    "code": "text",
    "message": "text",
    "request_id": "text",
    "provider_id": "text",
    "send": "int",
    "size_bytes": "bigint",
    "is_late": "boolean",
}

ADD = StatementPart(
    name="logged",
    columns=", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items()),
    sql=f"INSERT INTO call ({', '.join(_COLUMNS)}) SELECT * FROM {{rows}}",
)


def adding(call: Call, *, account_id: UUID, generation_id: UUID | None) -> Row:
    """Return the row for ``ADD``, which writes calls in order; one without a generation is about the wallet."""
    return vars(call) | {"account_id": account_id, "generation_id": generation_id}


_ADD_LOST = text("""
    INSERT INTO call (started_at, account_id, generation_id, send, is_late, kind, outcome, code, message)
    SELECT coalesce(last_sent_at, first_sent_at), account_id, id, sends, false, 'create', 'unknown',
           'no_answer_recorded', 'the process that sent it died before an answer came'
    FROM generation g WHERE id = :id AND sends > 0
      AND NOT EXISTS (SELECT FROM call c WHERE c.generation_id = g.id AND c.send = g.sends)""")


def add_lost_send(tx: Connection, generation_id: UUID) -> None:
    """Record the last send when no answer was recorded for it; without effect when one was."""
    tx.execute(_ADD_LOST, {"id": generation_id})


_LAST_CREATE = text("""
    SELECT code, message, http_status, request_id FROM call WHERE generation_id = :id AND kind = 'create'
    ORDER BY id DESC LIMIT 1""")


def last_refusal(tx: Connection, generation_id: UUID) -> Refused:
    """Return the provider's answer to the last, refused create of a generation."""
    row = tx.execute(_LAST_CREATE, {"id": generation_id}).one()
    return Refused(row.code, row.message or "", row.http_status, row.request_id)


_ANSWERED = text("""
    SELECT count(*) FROM (SELECT * FROM call ORDER BY id DESC LIMIT :newest) c
    WHERE account_id = :account_id AND kind = ANY(:kinds) AND outcome <> 'throttled' AND http_status IS NOT NULL
      AND ended_at > :since AND ended_at <= :until""")
_NEWEST = 5_000
"""Calls that are looked at, from the newest back: more than an account makes in the seconds that are asked about."""


def answered(
    tx: Connection, account_id: UUID, *, since: datetime, until: datetime, are_reads_apart: bool = False
) -> int:
    """Count the provider's answers within a few seconds that were not refusals for coming too fast, of all nodes.

    Reads are left out where they have a pace of their own.
    """
    reads = () if are_reads_apart else (CallKind.GET, CallKind.CREDITS, CallKind.MODELS)
    kinds = [CallKind.CREATE, CallKind.UPLOAD, *reads]
    values = {"account_id": account_id, "since": since, "until": until, "newest": _NEWEST, "kinds": kinds}
    count: int = tx.execute(_ANSWERED, values).scalar_one()
    return count


@dataclass(frozen=True, kw_only=True)
class LoggedCall(Call):
    """A row of the log of calls."""

    id: int
    account_id: UUID
    generation_id: UUID | None
    idempotency_key: str | None
    """What a ``create`` was sent under."""


_SELECT = """
    SELECT c.id, c.account_id, c.generation_id, c.kind, c.started_at, c.ended_at, c.outcome, c.http_status, c.code,
           c.message, c.request_id, c.provider_id, c.send, c.size_bytes, c.is_late,
           CASE WHEN c.kind = 'create' THEN g.idempotency_key END AS idempotency_key
    FROM call c LEFT JOIN generation g ON g.id = c.generation_id"""


def for_generation(tx: Connection, generation_id: UUID, *, until: datetime | None = None) -> list[LoggedCall]:
    """Return every call for the paid attempt that was begun up to ``until``, in the order of writing."""
    rows = tx.execute(
        text(f"""{_SELECT} WHERE c.generation_id = :id
                 AND (CAST(:until AS timestamptz) IS NULL OR c.started_at <= :until) ORDER BY c.id"""),
        {"id": generation_id, "until": until},
    )
    return [_logged(row) for row in rows]


def _logged(row: Any) -> LoggedCall:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
    return LoggedCall(**{**values, "kind": CallKind(values["kind"]), "outcome": CallOutcome(values["outcome"])})
