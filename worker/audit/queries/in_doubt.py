"""Generations in doubt, and ended ones that a person corrects."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.archive.queries import archived
from worker.core.rules.states import GenerationState, JobEvent, JobState, next_state
from worker.engine.queries import batches
from worker.engine.queries.steps import first_fence
from worker.ledger.rules.entries import CreditAccount


@dataclass(frozen=True, kw_only=True)
class InDoubt:
    """One generation in doubt, with all that our own rows say of it."""

    generation_id: UUID
    job_id: UUID
    batch_id: UUID
    account_id: UUID
    batch_name: str
    owner: str
    account: str
    line: int
    key: str
    model: str
    prompt: str
    number: int
    idempotency_key: str
    body_sha256: str | None
    body_bytes: int | None
    held: int
    reserved: int | None
    sends: int
    answers: int
    """How many of the sends surely created nothing."""
    polls: int
    admitted_at: datetime
    first_sent_at: datetime | None
    last_sent_at: datetime | None
    accepted_at: datetime | None
    doubted_at: datetime
    provider_id: str | None
    code: str | None
    message: str | None
    request_id: str | None

    @property
    def open_in(self) -> CreditAccount:
        """Where its credits lie."""
        return CreditAccount.HELD if self.reserved is None else CreditAccount.RESERVED

    @property
    def open(self) -> int:
        """How many credits lie there."""
        return self.held if self.reserved is None else self.reserved


_SELECT = """
    SELECT g.id AS generation_id, g.job_id, g.batch_id, g.account_id, b.name AS batch_name, b.owner, a.name AS account,
           j.line, j.key, j.model, j.prompt, g.number, g.idempotency_key, encode(sha256(g.body), 'hex') AS body_sha256,
           length(g.body) AS body_bytes, g.held, g.reserved, g.sends, g.answers, g.polls, g.admitted_at,
           g.first_sent_at, g.last_sent_at, g.accepted_at, g.ended_at AS doubted_at, g.provider_id,
           g.error_code AS code, g.error_message AS message, g.request_id
    FROM generation g JOIN job j ON j.id = g.job_id JOIN batch b ON b.id = g.batch_id
    JOIN account a ON a.id = g.account_id
    WHERE g.state = 'in_doubt'"""


def all_of_them(tx: Connection) -> list[InDoubt]:
    """Return every generation in doubt, the oldest doubt first."""
    return [_read(row) for row in tx.execute(text(f"{_SELECT} ORDER BY g.ended_at, g.id"))]


_OLDEST = text(f"""{_SELECT} AND g.id IN (
        SELECT id FROM generation WHERE state = 'in_doubt' AND (ended_at, id) > (:after_at, :after_id)
        ORDER BY ended_at, id LIMIT :limit)
    ORDER BY g.ended_at, g.id""")
BEFORE_ALL = (datetime.min.replace(tzinfo=UTC), UUID(int=0))
"""The place from which the oldest doubt is the first."""


def oldest(tx: Connection, *, limit: int, after: tuple[datetime, UUID] = BEFORE_ALL) -> list[InDoubt]:
    """Return the oldest generations in doubt after a cursor of end and id; of the others only the age is read."""
    asked = {"limit": limit, "after_at": after[0], "after_id": after[1]}
    return [_read(row) for row in tx.execute(_OLDEST, asked)]


_TOTAL = text("""
    SELECT count(*) AS generations, coalesce(sum(coalesce(reserved, held)), 0)::bigint AS credits
    FROM generation WHERE state = 'in_doubt'""")


def total(tx: Connection) -> tuple[int, int]:
    """Return how many generations are in doubt, and how many credits are open with them."""
    row = tx.execute(_TOTAL).one()
    return row.generations, row.credits


def find(tx: Connection, name: str, *, limit: int = 5) -> list[InDoubt]:
    """Return those whose id, or whose idempotency key, begins like that."""
    prefix = name.strip().lower().removeprefix("darkroom-")
    rows = tx.execute(
        text(f"{_SELECT} AND starts_with(g.id::text, :prefix) ORDER BY g.id LIMIT :limit"),
        {"prefix": prefix, "limit": limit},
    )
    return [_read(row) for row in rows]


def state_of(tx: Connection, generation_id: UUID) -> GenerationState | None:
    """Return the state of any generation; None when there is none with this id."""
    found = tx.execute(text("SELECT state FROM generation WHERE id = :id"), {"id": generation_id}).scalar()
    return None if found is None else GenerationState(found)


def lock(tx: Connection, generation_id: UUID) -> InDoubt | None:
    """Lock the batch, then the generation; None when it is not in doubt, or not any more."""
    batch_id = tx.execute(text("SELECT batch_id FROM generation WHERE id = :id"), {"id": generation_id}).scalar()
    if batch_id is None:
        return None
    batches.lock(tx, batch_id)
    row = tx.execute(text(f"{_SELECT} AND g.id = :id FOR NO KEY UPDATE OF g"), {"id": generation_id}).one_or_none()
    return None if row is None else _read(row)


def holder_of(tx: Connection, provider_id: str) -> UUID | None:
    """Return the generation that has this id of the provider's."""
    found: UUID | None = tx.execute(
        text("SELECT id FROM generation WHERE provider_id = :id"), {"id": provider_id}
    ).scalar()
    return found


_ADOPT = text("""
    UPDATE generation SET state = 'accepted', provider_id = :provider_id, reserved = :reserved,
        accepted_at = :accepted_at, ended_at = NULL, error_code = NULL, error_message = NULL
    WHERE id = :id AND state = 'in_doubt'""")
_BEGIN_POLLING = text("""
    INSERT INTO step (job_id, generation_id, account_id, kind, priority, due_at, fence, polls, since)
    SELECT j.id, :generation_id, :account_id, 'poll', b.priority, :now, :fence, :polls, :now
    FROM job j JOIN batch b ON b.id = j.batch_id WHERE j.id = :job_id""")


def adopt(
    tx: Connection, doubt: InDoubt, *, provider_id: str, reserved: int, accepted_at: datetime, now: datetime
) -> None:
    """Make the locked generation accepted and its job active, with a poll that is due at once."""
    values = {
        "id": doubt.generation_id,
        "provider_id": provider_id,
        "reserved": reserved,
        "accepted_at": accepted_at,
    }
    tx.execute(_ADOPT, values)
    _move_job(tx, doubt, JobEvent.ADOPT, ended_at=None, code=None, message=None)
    tx.execute(
        _BEGIN_POLLING,
        {
            "job_id": doubt.job_id,
            "generation_id": doubt.generation_id,
            "account_id": doubt.account_id,
            "now": now,
            "fence": first_fence(now),
            "polls": doubt.polls,
        },
    )


_END = text("""
    UPDATE generation SET state = :state, final = coalesce(:final, final), ended_at = :now, error_code = :code,
        error_message = :message WHERE id = :id AND state = 'in_doubt'""")


def end(
    tx: Connection,
    doubt: InDoubt,
    state: GenerationState,
    *,
    final: int | None,
    code: str,
    message: str,
    now: datetime,
) -> None:
    """End the locked generation, and its job as failed, with the charge that a person determined."""
    values = {"id": doubt.generation_id, "state": state, "final": final, "now": now, "code": code, "message": message}
    tx.execute(_END, values)
    _move_job(tx, doubt, JobEvent.RESOLVE, ended_at=now, code=code, message=message)


def _move_job(
    tx: Connection, doubt: InDoubt, event: JobEvent, *, ended_at: datetime | None, code: str | None, message: str | None
) -> None:
    tx.execute(
        text("""
            WITH moved AS (
                UPDATE job SET state = :target, ended_at = :ended_at, failure_code = :code, failure_message = :message
                WHERE id = :id AND state = 'in_doubt' RETURNING batch_id)
            UPDATE batch SET done_at = NULL FROM moved WHERE batch.id = moved.batch_id"""),
        {
            "id": doubt.job_id,
            "target": next_state(JobState.IN_DOUBT, event),
            "ended_at": ended_at,
            "code": code,
            "message": message,
        },
    )


def _read(row: Any) -> InDoubt:
    return InDoubt(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name


@dataclass(frozen=True, kw_only=True)
class WalletReading:
    """What the wallet held."""

    read_at: datetime
    credits: int


@dataclass(frozen=True, kw_only=True)
class Said:
    """The provider's answer to a later check of the generation, or the code of the error."""

    read_at: datetime
    status: str | None
    reserved: int | None
    final: int | None
    code: str | None
    message: str | None


_AROUND = text("""
    SELECT g.id, r.read_at, r.credits FROM generation g CROSS JOIN LATERAL (
        (SELECT read_at, credits FROM wallet_reading WHERE account_id = g.account_id AND read_at <= g.first_sent_at
         ORDER BY read_at DESC LIMIT 1)
        UNION ALL
        (SELECT read_at, credits FROM wallet_reading WHERE account_id = g.account_id AND read_at > g.last_sent_at
         ORDER BY read_at LIMIT 1)) r
    WHERE g.id = ANY(:ids) AND g.first_sent_at IS NOT NULL ORDER BY g.id, r.read_at""")


def wallet_around(tx: Connection, doubts: Sequence[InDoubt]) -> dict[UUID, list[WalletReading]]:
    """Return the last wallet reading before the first send of each and the first after its last, if any."""
    found: dict[UUID, list[WalletReading]] = {each.generation_id: [] for each in doubts}
    for row in tx.execute(_AROUND, {"ids": list(found)}):
        found[row.id].append(WalletReading(read_at=row.read_at, credits=row.credits))
    return found


_LAST_SAID = text("""
    SELECT g.id, r.* FROM unnest(CAST(:ids AS uuid[])) g(id) CROSS JOIN LATERAL (
        SELECT read_at, status, reserved, final, code, message FROM generation_reading
        WHERE generation_id = g.id ORDER BY read_at DESC, id DESC LIMIT 1) r""")


def last_said(tx: Connection, ids: Sequence[UUID]) -> dict[UUID, Said]:
    """Return the last later check of each generation; a generation without one is missing."""
    rows = tx.execute(_LAST_SAID, {"ids": list(ids)}).mappings()
    return {row["id"]: Said(**{name: value for name, value in row.items() if name != "id"}) for row in rows}


_HEX_DIGITS = 32


@dataclass(frozen=True, kw_only=True)
class Paid:
    """One generation with what its entries say that it has spent."""

    generation_id: UUID
    job_id: UUID
    batch_id: UUID
    key: str
    state: GenerationState
    held: int
    reserved: int | None
    final: int | None
    spent: int
    admitted_at: datetime

    @property
    def expected(self) -> int:
        """The most that was ever promised for it, by us or by the provider."""
        return max(self.held, self.reserved or 0)


_FIND = text("""
    SELECT id FROM generation WHERE id BETWEEN CAST(:first AS uuid) AND CAST(:last AS uuid)
    UNION SELECT id FROM generation WHERE provider_id = :name
    ORDER BY id LIMIT :limit""")


def find_ended(tx: Connection, name: str, *, limit: int = 5) -> list[UUID]:
    """Return the generations whose id begins like that, or that have this provider's id or idempotency key."""
    digits = name.strip().lower().removeprefix("darkroom-").replace("-", "")
    is_hex = digits and len(digits) <= _HEX_DIGITS and set(digits) <= set("0123456789abcdef")
    values = {
        "first": digits.ljust(_HEX_DIGITS, "0") if is_hex else None,
        "last": digits.ljust(_HEX_DIGITS, "f") if is_hex else None,
        "name": name.strip(),
        "limit": limit,
    }
    return list(tx.execute(_FIND, values).scalars())


_LOCK = text("""
    SELECT g.id AS generation_id, g.job_id, g.batch_id, j.key, g.state, g.held, g.reserved, g.final, g.admitted_at
    FROM generation g JOIN job j ON j.id = g.job_id WHERE g.id = :id FOR NO KEY UPDATE OF g""")
_SPENT = text("""
    SELECT coalesce(sum(CASE WHEN target = 'spent' THEN credits WHEN source = 'spent' THEN -credits END), 0)::bigint
    FROM credit_entry WHERE generation_id = :id""")


def lock_ended(tx: Connection, generation_id: UUID) -> Paid | None:
    """Lock the batch, then the generation; None when there is none with this id, or its batch is archived."""
    batch_id = tx.execute(text("SELECT batch_id FROM generation WHERE id = :id"), {"id": generation_id}).scalar()
    if batch_id is None:
        return None
    batches.lock(tx, batch_id)
    row = tx.execute(_LOCK, {"id": generation_id}).mappings().one_or_none()
    if row is None or archived.is_archived(tx, batch_id):
        return None
    spent = tx.execute(_SPENT, {"id": generation_id}).scalar_one()
    return Paid(**{**row, "state": GenerationState(row["state"]), "spent": spent})


def set_final(tx: Connection, generation_id: UUID, credits_: int) -> None:
    """Record the final charge that a person determined."""
    tx.execute(text("UPDATE generation SET final = :final WHERE id = :id"), {"final": credits_, "id": generation_id})


_AT_STAKE = text("SELECT greatest(held, coalesce(reserved, 0), coalesce(final, 0)) FROM generation WHERE id = :id")


def at_stake(tx: Connection, generation_id: UUID) -> int:
    """Return the most credits that a generation may be about; 0 for an unknown one."""
    return int(tx.execute(_AT_STAKE, {"id": generation_id}).scalar() or 0)
