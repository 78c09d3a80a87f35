"""The log of outside calls: one row each, written in the transaction that records what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.domain.call import Call, CallKind, CallOutcome

_ADD = text("""
    INSERT INTO call (account_id, generation_id, kind, started_at, ended_at, outcome, http_status, code, message,
                      request_id, provider_id, send, size_bytes, is_late)
    SELECT :account_id, c.generation_id, c.kind, c.started_at, c.ended_at, c.outcome, c.http_status, c.code, c.message,
        c.request_id, c.provider_id, c.send, c.size_bytes, c.is_late
    FROM unnest(CAST(:generation_ids AS uuid[]), CAST(:kinds AS text[]), CAST(:started_ats AS timestamptz[]),
            CAST(:ended_ats AS timestamptz[]), CAST(:outcomes AS text[]), CAST(:http_statuses AS integer[]),
            CAST(:codes AS text[]), CAST(:messages AS text[]), CAST(:request_ids AS text[]),
            CAST(:provider_ids AS text[]), CAST(:sends AS integer[]), CAST(:sizes AS bigint[]),
            CAST(:are_late AS boolean[])) WITH ORDINALITY
        AS c (generation_id, kind, started_at, ended_at, outcome, http_status, code, message, request_id, provider_id,
            send, size_bytes, is_late, place)
    ORDER BY place""")


@dataclass(frozen=True, kw_only=True)
class Made:
    """A call that was made for a paid attempt."""

    generation_id: UUID | None
    """None: it was about the wallet."""
    call: Call


def add(tx: Connection, made: Sequence[Made], *, account_id: UUID) -> None:
    """Write the calls, in their order; without any, nothing is sent to the database."""
    if made:
        whose = {"account_id": account_id, "generation_ids": [one.generation_id for one in made]}
        tx.execute(_ADD, whose | _columns([one.call for one in made]))


def _columns(calls: Sequence[Call]) -> dict[str, list[Any]]:
    return {
        "kinds": [call.kind for call in calls],
        "started_ats": [call.started_at for call in calls],
        "ended_ats": [call.ended_at for call in calls],
        "outcomes": [call.outcome for call in calls],
        "http_statuses": [call.http_status for call in calls],
        "codes": [call.code for call in calls],
        "messages": [call.message for call in calls],
        "request_ids": [call.request_id for call in calls],
        "provider_ids": [call.provider_id for call in calls],
        "sends": [call.send for call in calls],
        "sizes": [call.size_bytes for call in calls],
        "are_late": [call.is_late for call in calls],
    }


_ADD_LOST = text("""
    INSERT INTO call (started_at, account_id, generation_id, send, is_late, kind, outcome, code, message)
    SELECT coalesce(last_sent_at, first_sent_at), account_id, id, sends, false, 'create', 'unknown',
           'no_answer_recorded', 'whoever sent it did not live to see an answer'
    FROM generation g WHERE id = :id AND sends > 0
      AND NOT EXISTS (SELECT FROM call c WHERE c.generation_id = g.id AND c.send = g.sends)""")


def add_lost_send(tx: Connection, generation_id: UUID) -> None:
    """Leave a trace of the last send when nobody recorded what came back; without effect when somebody did."""
    tx.execute(_ADD_LOST, {"id": generation_id})


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
    kinds = [CallKind.CREATE, CallKind.UPLOAD, *(() if are_reads_apart else (CallKind.GET, CallKind.CREDITS))]
    values = {"account_id": account_id, "since": since, "until": until, "newest": _NEWEST, "kinds": kinds}
    count: int = tx.execute(_ANSWERED, values).scalar_one()
    return count


@dataclass(frozen=True, kw_only=True)
class LoggedCall(Call):
    """A call as it lies in the log."""

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
    """Give every call for the paid attempt that was begun up to ``until``, in the order of writing."""
    rows = tx.execute(
        text(f"""{_SELECT} WHERE c.generation_id = :id
                 AND (CAST(:until AS timestamptz) IS NULL OR c.started_at <= :until) ORDER BY c.id"""),
        {"id": generation_id, "until": until},
    )
    return [_logged(row) for row in rows]


def _logged(row: Any) -> LoggedCall:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
    return LoggedCall(**{**values, "kind": CallKind(values["kind"]), "outcome": CallOutcome(values["outcome"])})
