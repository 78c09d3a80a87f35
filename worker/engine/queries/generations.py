"""Generations in the database: the frozen request, all that the provider answered, and histograms of latencies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.db import outbox, statements
from worker.core.db.statements import Row, StatementPart
from worker.core.rules import events
from worker.core.rules.events import EventType
from worker.core.rules.states import GenerationState
from worker.engine.queries.jobs import Admitted
from worker.engine.rules.polling import BUCKETS, Histogram

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


BEGIN_SEND = StatementPart(
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


ANSWER = StatementPart(
    name="answered",
    columns="generation_id uuid",
    sql="UPDATE generation g SET answers = g.answers + 1 FROM {rows} WHERE g.id = given.generation_id",
)


@dataclass(frozen=True, kw_only=True)
class NothingCreated:
    """The last send surely created nothing; the generation goes on."""

    part = ANSWER


ACCEPT = StatementPart(
    name="accepted",
    columns="generation_id uuid, provider_id text, reserved bigint, request_id text, at timestamptz",
    sql="""
        UPDATE generation g SET state = 'accepted', provider_id = given.provider_id, reserved = given.reserved,
            accepted_at = given.at, request_id = given.request_id
        FROM {rows} WHERE g.id = given.generation_id""",
)


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """The provider's id for a generation, and the credits that it reserved."""

    part = ACCEPT
    provider_id: str
    reserved: int
    request_id: str | None


END = StatementPart(
    name="ended",
    columns="""generation_id uuid, state text, final bigint, polls int, result_url text, code text, message text,
        request_id text, answered int, took_ms bigint, at timestamptz""",
    sql="""
        UPDATE generation g SET state = given.state, final = coalesce(given.final, g.final), polls = given.polls,
            took_ms = given.took_ms,
            ended_at = given.at, result_url = coalesce(given.result_url, g.result_url), error_code = given.code,
            error_message = given.message, request_id = coalesce(given.request_id, g.request_id),
            answers = g.answers + given.answered
        FROM {rows} WHERE g.id = given.generation_id""",
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of a paid attempt as the provider stated it; None: not stated."""

    part = END
    state: GenerationState
    polls: int = 0
    final: int | None = None
    result_url: str | None = None
    code: str | None = None
    message: str | None = None
    request_id: str | None = None
    answered: int = 0
    """1: the last send surely created nothing."""
    took_ms: int | None = None
    """From its acceptance to its end, as the provider says."""


ADDRESS = StatementPart(
    name="addressed",
    columns="generation_id uuid, url text",
    sql="UPDATE generation g SET result_url = given.url FROM {rows} WHERE g.id = given.generation_id",
)


@dataclass(frozen=True, kw_only=True)
class FreshAddress:
    """A fresher address of the same result."""

    part = ADDRESS
    url: str


NOTE_UNREADABLE = StatementPart(
    name="unreadable",
    columns="generation_id uuid, sha256 text, times int",
    sql="""
        UPDATE generation g SET unreadable_sha256 = given.sha256, unreadable_times = given.times
        FROM {rows} WHERE g.id = given.generation_id""",
)


@dataclass(frozen=True, kw_only=True)
class UnreadableResult:
    """The unreadable file that was downloaded, and how often in a row."""

    part = NOTE_UNREADABLE
    sha256: str
    times: int


Change = Acceptance | NothingCreated | Outcome | FreshAddress | UnreadableResult


_DOUBTS = text(f"""
    SELECT b.id, b.name, b.owner, count(*) AS jobs, sum(coalesce(g.reserved, g.held))::bigint AS credits,
        (array_agg(jsonb_build_object('job', j.id, 'key', j.key, 'generation', g.id, 'code', g.error_code)
            ORDER BY j.line))[1:{events.MOST_EXAMPLES}] AS first
    FROM generation g JOIN job j ON j.id = g.job_id JOIN batch b ON b.id = g.batch_id
    WHERE g.id = ANY(:ids) AND {outbox.IS_WANTED} GROUP BY b.id ORDER BY b.id""")


def tell_of_doubts(tx: Connection, generation_ids: Sequence[UUID]) -> None:
    """Write an event for each batch with generations in doubt; one statement when no hook subscribes to it."""
    values = {"ids": list(generation_ids), "type": EventType.JOB_IN_DOUBT, "catalog_id": None}
    for row in tx.execute(_DOUBTS, values):
        batch = events.batch_named(row.id, row.name, row.owner)
        data = {"batch": batch, "jobs": row.jobs, "credits": row.credits, "first": row.first}
        outbox.emit(tx, EventType.JOB_IN_DOUBT, data, subject=f"batch:{row.id}")


def row(generation_id: UUID, change: Change, *, now: datetime) -> Row:
    """Return the row for the change's part."""
    return {"generation_id": generation_id, "at": now, **vars(change)}


_LOCK_LATENCIES = text("""
    INSERT INTO latency (account_id, model, has_reference, counts, updated_at)
    VALUES (:account_id, :model, :has_reference, :empty, now())
    ON CONFLICT (account_id, model, has_reference) DO UPDATE SET updated_at = latency.updated_at
    RETURNING counts""")


def lock_latencies(tx: Connection, account_id: UUID, model: str, *, has_reference: bool) -> Histogram:
    """Lock a histogram, made empty if it is new."""
    counts = tx.execute(
        _LOCK_LATENCIES,
        {"account_id": account_id, "model": model, "has_reference": has_reference, "empty": [0.0] * BUCKETS},
    ).scalar_one()
    return Histogram(counts=tuple(counts))


def save_latencies(
    tx: Connection, account_id: UUID, model: str, *, has_reference: bool, histogram: Histogram, now: datetime
) -> None:
    """Store a histogram that is locked."""
    tx.execute(
        text("""
            UPDATE latency SET counts = :counts, updated_at = :now
            WHERE account_id = :account_id AND model = :model AND has_reference = :has_reference"""),
        {
            "account_id": account_id,
            "model": model,
            "has_reference": has_reference,
            "counts": list(histogram.counts),
            "now": now,
        },
    )


def latencies(tx: Connection, account_id: UUID) -> dict[tuple[str, bool], Histogram]:
    """Return all histograms of the account, by model and whether there is a reference."""
    rows = tx.execute(
        text("SELECT model, has_reference, counts FROM latency WHERE account_id = :id"), {"id": account_id}
    )
    return {(r.model, r.has_reference): Histogram(counts=tuple(r.counts)) for r in rows}
