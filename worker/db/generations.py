"""Generations in the database: the frozen request, and all that the provider answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.db.jobs import Admitted
from worker.domain.generation import GenerationState

_INSERT = text("""
    INSERT INTO generation (account_id, id, job_id, batch_id, number, idempotency_key, held, state, admitted_at)
    SELECT :account_id, t.*, 'held', :now FROM unnest(
        CAST(:ids AS uuid[]), CAST(:job_ids AS uuid[]), CAST(:batch_ids AS uuid[]), CAST(:numbers AS bigint[]),
        CAST(:keys AS text[]), CAST(:held AS bigint[])) t""")


def insert(
    tx: Connection, account_id: UUID, admitted: Sequence[Admitted], ids: Sequence[UUID], *, now: datetime
) -> None:
    """Write a paid attempt with its number, its key and its hold for each admitted job, under the given ids."""
    tx.execute(
        _INSERT,
        {
            "account_id": account_id,
            "ids": list(ids),
            "job_ids": [job.job_id for job in admitted],
            "batch_ids": [job.batch_id for job in admitted],
            "numbers": [job.number for job in admitted],
            "keys": [f"darkroom-{generation_id}" for generation_id in ids],
            "held": [job.price for job in admitted],
            "now": now,
        },
    )


_BEGIN_SEND = text("""
    UPDATE generation g SET body = CASE WHEN g.sends > g.answers THEN g.body ELSE sent.body END, state = 'sending',
        sends = g.sends + 1, binding = :binding, first_sent_at = coalesce(g.first_sent_at, :now), last_sent_at = :now
    FROM unnest(CAST(:ids AS uuid[]), CAST(:bodies AS bytea[])) AS sent (id, body)
    WHERE g.id = sent.id RETURNING g.id, g.body""")


def begin_send(tx: Connection, bodies: Mapping[UUID, bytes], *, binding: int, now: datetime) -> dict[UUID, bytes]:
    """Count a send of each generation, and freeze its body; gives the bytes to send.

    While an earlier send may have created something, they are the bytes of that send and not those of ``bodies``.
    """
    if not bodies:
        return {}
    values = {"ids": list(bodies), "bodies": list(bodies.values()), "binding": binding, "now": now}
    return {row.id: bytes(row.body) for row in tx.execute(_BEGIN_SEND, values)}


def answered(tx: Connection, generation_id: UUID) -> None:
    """Note that the last send surely created nothing."""
    tx.execute(
        text("UPDATE generation SET answers = answers + 1 WHERE id = :id"),
        {"id": generation_id},
    )


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """The provider's id for a generation, and the credits that it reserved."""

    generation_id: UUID
    provider_id: str
    reserved: int
    request_id: str | None


_ACCEPT = text("""
    UPDATE generation g SET state = 'accepted', provider_id = taken.provider_id, reserved = taken.reserved,
        accepted_at = :now, request_id = taken.request_id
    FROM unnest(CAST(:ids AS uuid[]), CAST(:provider_ids AS text[]), CAST(:reserved AS bigint[]),
            CAST(:request_ids AS text[])) AS taken (id, provider_id, reserved, request_id)
    WHERE g.id = taken.id""")


def accept(tx: Connection, taken: Sequence[Acceptance], *, now: datetime) -> None:
    """Record what the provider took."""
    tx.execute(
        _ACCEPT,
        {
            "ids": [one.generation_id for one in taken],
            "provider_ids": [one.provider_id for one in taken],
            "reserved": [one.reserved for one in taken],
            "request_ids": [one.request_id for one in taken],
            "now": now,
        },
    )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of a paid attempt as the provider gave it; None: it said nothing of it."""

    generation_id: UUID
    state: GenerationState
    polls: int = 0
    final: int | None = None
    result_url: str | None = None
    code: str | None = None
    message: str | None = None
    request_id: str | None = None


_END = text("""
    UPDATE generation g SET state = over.state, final = coalesce(over.final, g.final), polls = over.polls,
        ended_at = :now, result_url = coalesce(over.result_url, g.result_url), error_code = over.code,
        error_message = over.message, request_id = coalesce(over.request_id, g.request_id)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[]), CAST(:finals AS bigint[]), CAST(:polls AS integer[]),
            CAST(:urls AS text[]), CAST(:codes AS text[]), CAST(:messages AS text[]), CAST(:request_ids AS text[]))
        AS over (id, state, final, polls, result_url, code, message, request_id)
    WHERE g.id = over.id""")


def end(tx: Connection, outcomes: Sequence[Outcome], *, now: datetime) -> None:
    """Record the outcomes."""
    tx.execute(
        _END,
        {
            "ids": [one.generation_id for one in outcomes],
            "states": [one.state for one in outcomes],
            "finals": [one.final for one in outcomes],
            "polls": [one.polls for one in outcomes],
            "urls": [one.result_url for one in outcomes],
            "codes": [one.code for one in outcomes],
            "messages": [one.message for one in outcomes],
            "request_ids": [one.request_id for one in outcomes],
            "now": now,
        },
    )


def set_result_url(tx: Connection, generation_id: UUID, url: str) -> None:
    """Record a fresher address of the same result."""
    tx.execute(text("UPDATE generation SET result_url = :url WHERE id = :id"), {"url": url, "id": generation_id})
