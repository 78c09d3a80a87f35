"""Accounts: rate limit, window of open generations, pauses, and virtual times for fair queueing."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from worker.accounts.queries import provider_health
from worker.accounts.queries.provider_health import PausedModel
from worker.accounts.rules import pace as paces
from worker.accounts.rules import provider_failing
from worker.accounts.rules.pace import Pace
from worker.accounts.rules.virtual_times import VirtualTimes
from worker.core.db import outbox
from worker.core.rules.batch_request import Priority
from worker.core.rules.errors import PauseReason
from worker.core.rules.events import EventType
from worker.ledger.queries.budgets import NEXT

START_RATE = 10.0
"""Requests per second at which the search for an unknown limit begins."""
CANARY_TIMEOUT = timedelta(minutes=15)
"""A job that tries whether the provider works, and has not ended after so long, does not keep the next from trying."""


OF_POOLS = """
    SELECT p.id FROM batch p JOIN batch_account m ON m.batch_id = p.id AND m.account_id = {account}
    WHERE p.pool IS NOT NULL AND p.has_pending AND p.state = 'open'"""
"""The open batches with pending jobs whose jobs are spread over a pool that had the ``account``."""
WORKS_FOR = f"""(({{batch}}.account_id = {{account}} AND {{batch}}.pool IS NULL)
        OR {{batch}}.id = ANY(ARRAY({OF_POOLS})))"""
"""Whether the ``account`` may begin pending jobs of an open ``batch``: it is its own, or spread over a pool with it."""


@dataclass(frozen=True, kw_only=True)
class AccountRow:
    """One account as the dispatcher needs it."""

    id: UUID
    name: str
    pace: Pace
    saturation: float
    max_in_flight: int
    virtual_times: VirtualTimes
    read_pace: Pace | None
    """The pace of reads, closed together with the other; None: all requests share one."""
    read_virtual_times: VirtualTimes
    pause_reason: PauseReason | None
    paused_at: datetime | None
    wallet_left: int | None
    wallet_read_at: datetime | None
    probe_at: datetime | None
    resumed_at: datetime | None
    probes: int
    binding: int
    """Of an account at a provider; a node that was put together under another number sends nothing."""
    paused_models: tuple[PausedModel, ...] = ()
    """What the provider does not offer for now."""
    proved_at: datetime | None = None
    """When a generation last succeeded, to a minute; None: not since the last pause."""
    is_provider_suspect: bool = False
    """Whether prompts fail or are refused in a row: then others say more about the provider than the same again."""
    are_failures_suspect: bool = False
    """Whether generations of different prompts fail in a row: whatever is created now may fail, too."""
    canary_at: datetime | None = None
    """When the job was admitted that tries whether the provider works again; None: none is under way."""
    has_pooled: bool = False
    """Whether a batch waits whose jobs are spread over a pool with this account."""

    def is_canary_due(self, now: datetime) -> bool:
        """Whether one job may try if the provider works again."""
        if self.pause_reason is None or not self.pause_reason.sends_canaries:
            return False
        is_under_way = self.canary_at is not None and now < self.canary_at + CANARY_TIMEOUT
        return not is_under_way and self.probe_at is not None and self.probe_at <= now


def ensure(tx: Connection, *, account_id: UUID, name: str, now: datetime) -> UUID:
    """Return the id of the account with that name, made with a learned pace if it is new."""
    tx.execute(
        text("""
            INSERT INTO account (id, name, rate, is_rate_learned, max_in_flight, next_slot_at, raised_at, class_times)
            VALUES (:id, :name, :rate, true, 100, :now, :now, '{}')
            ON CONFLICT (name) DO NOTHING"""),
        {"id": account_id, "name": name, "rate": START_RATE, "now": now},
    )
    found: UUID = tx.execute(text("SELECT id FROM account WHERE name = :name"), {"name": name}).scalar_one()
    return found


def configure(tx: Connection, account_id: UUID, *, rate: float | None, max_in_flight: int, now: datetime) -> None:
    """Set pace and window to what the settings say; ``rate`` None keeps a learned rate, or starts to learn one.

    The next slot is no further away than one at the new rate.
    """
    tx.execute(
        text("""
            UPDATE account SET max_in_flight = :window, is_rate_learned = :learned,
                rate = CASE WHEN :learned AND is_rate_learned THEN rate ELSE :rate END,
                throttled_at = CASE WHEN :learned AND is_rate_learned THEN throttled_at END,
                refused_rate = CASE WHEN :learned AND is_rate_learned THEN refused_rate END,
                next_slot_at = CASE WHEN :learned AND is_rate_learned THEN next_slot_at
                    ELSE least(next_slot_at, :slot_at) END
            WHERE id = :id"""),
        {
            "id": account_id,
            "window": max_in_flight,
            "learned": rate is None,
            "rate": rate or START_RATE,
            "slot_at": now + timedelta(seconds=1 / (rate or START_RATE)),
        },
    )


def try_lock(tx: Connection, account_id: UUID) -> AccountRow | None:
    """Lock the account for a round of dispatch; None when another dispatcher has it."""
    return _read(tx, account_id, "FOR NO KEY UPDATE SKIP LOCKED")


def read(tx: Connection, account_id: UUID) -> AccountRow | None:
    """Return the account as it is, without a lock."""
    return _read(tx, account_id, "")


def _read(tx: Connection, account_id: UUID, locking: str) -> AccountRow | None:
    row = tx.execute(
        text(f"""
            SELECT id, name, rate, is_rate_learned, max_in_flight, next_slot_at, blocked_until, closed_at, throttled_at,
                   raised_at, refused_rate, saturation, class_times, owner_times, read_rate, read_next_slot_at,
                   read_class_times, pause_reason, paused_at, wallet_left, wallet_read_at, probe_at, resumed_at, probes,
                   binding, ({provider_health.AS_JSON.format(account_id="account.id")}) AS paused_models,
                   (SELECT proved_at FROM provider_health WHERE account_id = account.id) AS proved_at,
                   coalesce((SELECT greatest(score, create_score) >= :suspect FROM provider_health
                             WHERE account_id = account.id), false)
                       AS is_provider_suspect,
                   coalesce((SELECT score >= :narrowing FROM provider_health WHERE account_id = account.id), false)
                       AS are_failures_suspect,
                   (SELECT h.canary_at FROM provider_health h JOIN step s ON s.job_id = h.canary_job_id
                    WHERE h.account_id = account.id) AS canary_at,
                   EXISTS ({OF_POOLS.format(account="account.id")}) AS has_pooled
            FROM account WHERE id = :id {locking}"""),
        {"id": account_id, "suspect": provider_failing.SUSPECT, "narrowing": provider_failing.NARROWING},
    ).one_or_none()
    if row is None:
        return None
    return AccountRow(
        id=row.id,
        name=row.name,
        pace=_pace(row),
        saturation=row.saturation,
        max_in_flight=row.max_in_flight,
        virtual_times=read_virtual_times(row.class_times, row.owner_times),
        read_pace=_read_pace(row),
        read_virtual_times=read_virtual_times(row.read_class_times),
        pause_reason=PauseReason(row.pause_reason) if row.pause_reason else None,
        paused_at=row.paused_at,
        wallet_left=row.wallet_left,
        wallet_read_at=row.wallet_read_at,
        probe_at=row.probe_at,
        resumed_at=row.resumed_at,
        probes=row.probes,
        binding=row.binding,
        paused_models=provider_health.paused_model_from_json(row.paused_models),
        proved_at=row.proved_at,
        is_provider_suspect=row.is_provider_suspect,
        are_failures_suspect=row.are_failures_suspect,
        canary_at=row.canary_at,
        has_pooled=row.has_pooled,
    )


def _pace(row: Any) -> Pace:
    return Pace(
        rate=row.rate,
        is_learned=row.is_rate_learned,
        next_slot_at=row.next_slot_at,
        blocked_until=row.blocked_until,
        closed_at=row.closed_at,
        throttled_at=row.throttled_at,
        raised_at=row.raised_at,
        refused_rate=row.refused_rate,
    )


def _read_pace(row: Any) -> Pace | None:
    if row.read_rate is None:
        return None
    start = row.read_next_slot_at or row.next_slot_at
    return replace(_pace(row), rate=row.read_rate, is_learned=False, next_slot_at=start)


_SAVE_PACE = text("""
    UPDATE account SET rate = :rate, next_slot_at = :next_slot_at, blocked_until = :blocked_until,
        closed_at = :closed_at,
        throttled_at = :throttled_at, raised_at = :raised_at, refused_rate = :refused_rate,
        saturation = coalesce(:saturation, saturation) WHERE id = :id""")


def save_pace(tx: Connection, account_id: UUID, pace: Pace, *, saturation: float | None = None) -> None:
    """Store the pace as it is after a round or a 429, and the saturation if it was looked at."""
    tx.execute(
        _SAVE_PACE,
        {
            "id": account_id,
            "rate": pace.rate,
            "next_slot_at": pace.next_slot_at,
            "blocked_until": pace.blocked_until,
            "closed_at": pace.closed_at,
            "throttled_at": pace.throttled_at,
            "raised_at": pace.raised_at,
            "refused_rate": pace.refused_rate,
            "saturation": saturation,
        },
    )


def save_read_pace(tx: Connection, account_id: UUID, pace: Pace, *, saturation: float | None = None) -> None:
    """Store which slots of the pace of reads are given away, and the saturation if it was looked at."""
    tx.execute(
        text("""
            UPDATE account SET read_next_slot_at = :at, saturation = coalesce(:saturation, saturation)
            WHERE id = :id"""),
        {"at": pace.next_slot_at, "saturation": saturation, "id": account_id},
    )


def lock(tx: Connection, account_id: UUID) -> AccountRow:
    """Lock the account, waiting for a round of dispatch that has it."""
    account = _read(tx, account_id, "FOR NO KEY UPDATE")
    if account is None:
        raise LookupError(account_id)
    return account


def pause(
    tx: Connection,
    account_id: UUID,
    *,
    reason: PauseReason,
    message: str,
    now: datetime,
    probe_at: datetime | None,
    probes: int,
) -> None:
    """Pause the account; ``probes`` is how many looks are counted already, and only a person resumes one without."""
    name = tx.execute(
        text("""
            UPDATE account SET pause_reason = :reason, pause_message = :message, paused_at = :now,
                probe_at = :probe_at, probes = :probes
            WHERE id = :id RETURNING name"""),
        {
            "id": account_id,
            "reason": reason,
            "message": message,
            "now": now,
            "probe_at": probe_at,
            "probes": probes,
        },
    ).scalar_one()
    data = {"account": _named(account_id, name), "reason": reason, "message": message, "paused_at": now.isoformat()}
    outbox.emit(tx, EventType.ACCOUNT_PAUSED, data, subject=f"account:{account_id}")


def resume(tx: Connection, account_id: UUID, reason: PauseReason, *, now: datetime) -> bool:
    """End a pause for this reason and make the requests that waited for it due; False when there is none."""
    name = tx.execute(
        text("""
            UPDATE account SET pause_reason = NULL, pause_message = NULL, paused_at = NULL, probe_at = NULL,
                resumed_at = :now WHERE id = :id AND pause_reason = :reason RETURNING name"""),
        {"id": account_id, "now": now, "reason": reason},
    ).scalar()
    tx.execute(
        text("""
            UPDATE step SET due_at = :now WHERE job_id IN (
                SELECT job_id FROM step WHERE account_id = :id AND kind = 'submit' AND due_at > :now
                FOR UPDATE SKIP LOCKED)"""),
        {"id": account_id, "now": now},
    )
    if name is None:
        return False
    data = {"account": _named(account_id, name), "reason": reason, "resumed_at": now.isoformat()}
    outbox.emit(tx, EventType.ACCOUNT_RESUMED, data, subject=f"account:{account_id}")
    return True


def _named(account_id: UUID, name: str) -> dict[str, str]:
    return {"id": str(account_id), "name": name}


def set_pause_message(tx: Connection, account_id: UUID, message: str) -> None:
    """Replace the words of the account's pause."""
    values = {"id": account_id, "message": message}
    tx.execute(text("UPDATE account SET pause_message = :message WHERE id = :id"), values)


def set_probe(tx: Connection, account_id: UUID, *, at: datetime) -> None:
    """Set when the next probe of the paused account is due."""
    tx.execute(text("UPDATE account SET probe_at = :at WHERE id = :id"), {"at": at, "id": account_id})


def open_key(tx: Connection, locked: AccountRow, *, now: datetime) -> datetime | None:
    """Open a key that a 429 has closed, and make the requests that wait for it due; return until when it was closed.

    None if it was open. ``locked`` is the account as ``lock`` read it.
    The steps' rows are taken as they come: one that a node writes keeps its due time.
    """
    before = locked.pace
    after = paces.opened(before, now=now)
    if after is before:
        return None
    save_pace(tx, locked.id, after)
    tx.execute(
        text("""
            UPDATE step SET due_at = :now WHERE job_id IN (
                SELECT job_id FROM step WHERE account_id = :id AND kind IN ('upload', 'submit', 'poll')
                    AND due_at > :now AND due_at <= :until
                FOR UPDATE SKIP LOCKED)"""),
        {"id": locked.id, "now": now, "until": before.blocked_until},
    )
    return before.blocked_until


def begin_probe(tx: Connection, account_id: UUID, *, next_at: datetime) -> None:
    """Count a probe, and say when the one after it is due."""
    tx.execute(
        text("UPDATE account SET probe_at = :next_at, probes = probes + 1 WHERE id = :id"),
        {"id": account_id, "next_at": next_at},
    )


def record_wallet(
    tx: Connection, *, reading_id: UUID, account_id: UUID, balance: int, now: datetime, asked_at: datetime | None = None
) -> None:
    """Store the wallet balance that the provider reported, less credits held here that it has not reserved yet.

    What was accepted since ``asked_at`` may have come after the answer, so it counts as not reserved.
    """
    tx.execute(
        text("""
            UPDATE account SET wallet_read_at = :now, wallet_left = :credits - (
                SELECT coalesce(sum(held), 0) FROM generation
                WHERE account_id = :id
                  AND (state IN ('held', 'sending') OR (state = 'accepted' AND accepted_at >= :asked_at)))
            WHERE id = :id"""),
        {"id": account_id, "credits": balance, "now": now, "asked_at": asked_at or now},
    )
    tx.execute(
        text("""
            INSERT INTO wallet_reading (id, account_id, credits, read_at)
            VALUES (:id, :account_id, :credits, :now)"""),
        {"id": reading_id, "account_id": account_id, "credits": balance, "now": now},
    )


def lowest_price(tx: Connection, account_id: UUID) -> int:
    """Return the fewest credits that any waiting batch's next job needs; 1 when none waits."""
    price = tx.execute(
        text(f"""
            SELECT min({NEXT.format(batch="b", account=":id")}) FROM batch b
            WHERE b.state = 'open' AND b.has_pending AND {WORKS_FOR.format(batch="b", account=":id")}"""),
        {"id": account_id},
    ).scalar()
    return price or 1


def read_virtual_times(classes: dict[str, float], owners: dict[str, Any] | None = None) -> VirtualTimes:
    """Return the virtual times that the columns of an account hold."""
    return VirtualTimes(
        classes={Priority(name): time for name, time in classes.items()},
        owners={Priority(name): dict(times) for name, times in (owners or {}).items()},
    )


def save_virtual_times(tx: Connection, account_id: UUID, virtual_times: VirtualTimes) -> None:
    """Store the virtual times of each class and owner; the account is locked."""
    statement = text("UPDATE account SET class_times = :classes, owner_times = :owners WHERE id = :id").bindparams(
        bindparam("classes", type_=JSONB), bindparam("owners", type_=JSONB)
    )
    owners = {p.value: dict(times) for p, times in virtual_times.owners.items()}
    tx.execute(statement, {"id": account_id, "classes": _by_name(virtual_times), "owners": owners})


def save_virtual_times_of_reads(tx: Connection, account_id: UUID, virtual_times: VirtualTimes) -> None:
    """Store the virtual times of each class for reads; the account is locked."""
    statement = text("UPDATE account SET read_class_times = :classes WHERE id = :id").bindparams(
        bindparam("classes", type_=JSONB)
    )
    tx.execute(statement, {"id": account_id, "classes": _by_name(virtual_times)})


def _by_name(virtual_times: VirtualTimes) -> dict[str, float]:
    return {p.value: time for p, time in virtual_times.classes.items()}
