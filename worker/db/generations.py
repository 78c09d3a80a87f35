"""Generations in the database: the frozen request, and all that the provider answered."""

from collections.abc import Sequence
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
    UPDATE generation SET body = CASE WHEN sends > answers THEN body ELSE :body END, state = 'sending',
        sends = sends + 1, binding = :binding,
        first_sent_at = coalesce(first_sent_at, :now), last_sent_at = :now
    WHERE id = :id RETURNING body""")


def begin_send(tx: Connection, generation_id: UUID, *, body: bytes, binding: int, now: datetime) -> bytes:
    """Count a send, and freeze its body; gives the bytes to send.

    While an earlier send may have created something, they are the bytes of that send and not ``body``.
    """
    values = {"id": generation_id, "body": body, "binding": binding, "now": now}
    frozen: bytes = tx.execute(_BEGIN_SEND, values).scalar_one()
    return bytes(frozen)


def answered(tx: Connection, generation_id: UUID) -> None:
    """Note that the last send surely created nothing."""
    tx.execute(
        text("UPDATE generation SET answers = answers + 1 WHERE id = :id"),
        {"id": generation_id},
    )


_ACCEPT = text("""
    UPDATE generation SET state = 'accepted', provider_id = :provider_id, reserved = :reserved,
        accepted_at = :now, request_id = :request_id WHERE id = :id""")


def accept(
    tx: Connection,
    generation_id: UUID,
    *,
    provider_id: str,
    reserved: int,
    request_id: str | None,
    now: datetime,
) -> None:
    """Record the provider's id and the credits that it reserved."""
    tx.execute(
        _ACCEPT,
        {
            "id": generation_id,
            "provider_id": provider_id,
            "reserved": reserved,
            "request_id": request_id,
            "now": now,
        },
    )


_END = text("""
    UPDATE generation SET state = :state, final = coalesce(:final, final), polls = :polls, ended_at = :now,
        result_url = coalesce(:result_url, result_url), error_code = :code, error_message = :message,
        request_id = coalesce(:request_id, request_id)
    WHERE id = :id""")


def end(
    tx: Connection,
    generation_id: UUID,
    state: GenerationState,
    *,
    now: datetime,
    polls: int = 0,
    final: int | None = None,
    result_url: str | None = None,
    code: str | None = None,
    message: str | None = None,
    request_id: str | None = None,
) -> None:
    """Record the outcome of a paid attempt as the provider gave it."""
    tx.execute(
        _END,
        {
            "id": generation_id,
            "state": state,
            "final": final,
            "polls": polls,
            "now": now,
            "result_url": result_url,
            "code": code,
            "message": message,
            "request_id": request_id,
        },
    )


def set_result_url(tx: Connection, generation_id: UUID, url: str) -> None:
    """Record a fresher address of the same result."""
    tx.execute(text("UPDATE generation SET result_url = :url WHERE id = :id"), {"url": url, "id": generation_id})
