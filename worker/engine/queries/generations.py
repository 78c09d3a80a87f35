"""Generations in the database: the frozen request, and all that the provider answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.db import statements
from worker.core.db.statements import Part, Row
from worker.core.rules.generation import GenerationState
from worker.engine.queries.jobs import Admitted

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


BEGIN_SEND = Part(
    name="sent",
    columns="id uuid, body text, binding bigint, at timestamptz",
    sql="""
        UPDATE generation g SET body = CASE WHEN g.sends > g.answers THEN g.body ELSE decode(given.body, 'hex') END,
            state = 'sending', sends = g.sends + 1, binding = given.binding,
            first_sent_at = coalesce(g.first_sent_at, given.at), last_sent_at = given.at
        FROM {rows} WHERE g.id = given.id""",
)


def begin_send(tx: Connection, bodies: Mapping[UUID, bytes], *, binding: int, now: datetime) -> None:
    """Count a send of each generation, and freeze its body.

    While an earlier send may have created something its body stays as it is, and is what has to be sent.
    """
    rows = [
        {"id": generation_id, "body": body.hex(), "binding": binding, "at": now}
        for generation_id, body in bodies.items()
    ]
    statements.run(tx, {BEGIN_SEND: rows})


def note_nothing_created(tx: Connection, generation_id: UUID) -> None:
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


ACCEPT = Part(
    name="accepted",
    columns="generation_id uuid, provider_id text, reserved bigint, request_id text, accepted_at timestamptz",
    sql="""
        UPDATE generation g SET state = 'accepted', provider_id = given.provider_id, reserved = given.reserved,
            accepted_at = given.accepted_at, request_id = given.request_id
        FROM {rows} WHERE g.id = given.generation_id""",
)


def accepting(taken: Acceptance, *, now: datetime) -> Row:
    """Return the row for ``ACCEPT``."""
    return vars(taken) | {"accepted_at": now}


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


END = Part(
    name="ended",
    columns="""generation_id uuid, state text, final bigint, polls int, result_url text, code text, message text,
        request_id text, ended_at timestamptz""",
    sql="""
        UPDATE generation g SET state = given.state, final = coalesce(given.final, g.final), polls = given.polls,
            ended_at = given.ended_at, result_url = coalesce(given.result_url, g.result_url), error_code = given.code,
            error_message = given.message, request_id = coalesce(given.request_id, g.request_id)
        FROM {rows} WHERE g.id = given.generation_id""",
)


def ending(outcome: Outcome, *, now: datetime) -> Row:
    """Return the row for ``END``."""
    return vars(outcome) | {"ended_at": now}


def end(tx: Connection, outcome: Outcome, *, now: datetime) -> None:
    """Record an outcome."""
    statements.run(tx, {END: [ending(outcome, now=now)]})


def set_result_url(tx: Connection, generation_id: UUID, url: str) -> None:
    """Record a fresher address of the same result."""
    tx.execute(text("UPDATE generation SET result_url = :url WHERE id = :id"), {"url": url, "id": generation_id})


def remember_unreadable(tx: Connection, generation_id: UUID, *, sha256: str, times: int) -> None:
    """Keep which file came in the place of the image, and how often in a row."""
    tx.execute(
        text("UPDATE generation SET unreadable_sha256 = :sha256, unreadable_times = :times WHERE id = :id"),
        {"id": generation_id, "sha256": sha256, "times": times},
    )
