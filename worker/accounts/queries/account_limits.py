"""Limits of an account, as set and as shown, and which provider and account there it is bound to."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.accounts.queries import provider_health
from worker.accounts.queries.accounts import START_RATE
from worker.accounts.queries.provider_health import PausedModel

SHARED = "shared"
"""What is said of reads that have no pace of their own."""
_FOLLOW = text("""
    UPDATE account SET
        max_in_flight = CASE WHEN max_in_flight_setting IS DISTINCT FROM :window THEN :window ELSE max_in_flight END,
        max_in_flight_setting = :window,
        is_rate_learned = CASE WHEN rate_setting IS DISTINCT FROM :setting THEN :learned ELSE is_rate_learned END,
        throttled_at = CASE WHEN rate_setting IS DISTINCT FROM :setting AND NOT (:learned AND is_rate_learned)
            THEN NULL ELSE throttled_at END,
        refused_rate = CASE WHEN rate_setting IS DISTINCT FROM :setting AND NOT (:learned AND is_rate_learned)
            THEN NULL ELSE refused_rate END,
        rate = CASE WHEN rate_setting IS DISTINCT FROM :setting AND NOT (:learned AND is_rate_learned)
            THEN :rate ELSE rate END,
        next_slot_at = CASE WHEN rate_setting IS DISTINCT FROM :setting AND NOT (:learned AND is_rate_learned)
            THEN least(next_slot_at, :slot_at) ELSE next_slot_at END,
        rate_setting = :setting,
        read_rate = CASE WHEN read_rate_setting IS DISTINCT FROM :read_setting THEN :read_rate ELSE read_rate END,
        read_rate_setting = :read_setting
    WHERE id = :id""")


def follow_settings(
    tx: Connection,
    account_id: UUID,
    *,
    rate: float | None,
    max_in_flight: int,
    now: datetime,
    read_rate: float | None = None,
) -> None:
    """Apply each setting that has changed since it was last applied.

    ``rate`` None: it is learned; ``read_rate`` None: reads share it. What a person has set stays until then. The next
    slot is no further away than one at a new rate.
    """
    start = rate or START_RATE
    tx.execute(
        _FOLLOW,
        {
            "id": account_id,
            "window": max_in_flight,
            "setting": "auto" if rate is None else f"{rate:g}",
            "learned": rate is None,
            "rate": start,
            "slot_at": now + timedelta(seconds=1 / start),
            "read_setting": SHARED if read_rate is None else f"{read_rate:g}",
            "read_rate": read_rate,
        },
    )


def set_read_rate(tx: Connection, account_id: UUID, rate: float | None) -> None:
    """Set a separate rate for reads; None: reads and creates share one rate."""
    tx.execute(
        text("UPDATE account SET read_rate = :rate, read_next_slot_at = NULL WHERE id = :id"),
        {"rate": rate, "id": account_id},
    )


@dataclass(frozen=True, kw_only=True)
class AccountView:
    """An account as commands and pages show it."""

    id: UUID
    name: str
    base_url: str | None
    rate: float
    is_rate_learned: bool
    rate_setting: str | None
    read_rate: float | None
    read_rate_setting: str | None
    max_in_flight: int
    max_in_flight_setting: int | None
    in_flight: int
    closed_at: datetime | None
    blocked_until: datetime | None
    """Until when a 429 has closed the key; None while it is open."""
    pause_reason: str | None
    pause_message: str | None
    paused_at: datetime | None
    probe_at: datetime | None
    wallet_left: int | None
    wallet_read_at: datetime | None
    pools: list[str]
    paused_models: tuple[PausedModel, ...]


_VIEW = text(f"""
    SELECT a.id, a.name, a.base_url, a.rate, a.is_rate_learned, a.rate_setting, a.read_rate,
           a.read_rate_setting, a.max_in_flight, a.max_in_flight_setting,
           (SELECT count(*) FROM step s WHERE s.account_id = a.id) AS in_flight,
           a.closed_at,
           CASE WHEN a.blocked_until > :now THEN a.blocked_until END AS blocked_until, a.pause_reason, a.pause_message,
           a.paused_at, a.probe_at, a.wallet_left, a.wallet_read_at, a.pools,
           ({provider_health.AS_JSON.format(account_id="a.id")}) AS paused_models
    FROM account a WHERE a.name = :name""")


def view(tx: Connection, name: str, *, now: datetime) -> AccountView | None:
    """Return the account of that name as it is; None when there is none."""
    row = tx.execute(_VIEW, {"name": name, "now": now}).one_or_none()
    if row is None:
        return None
    return AccountView(**row._asdict() | {"paused_models": provider_health.paused_model_from_json(row.paused_models)})


def names(tx: Connection) -> list[str]:
    """Return the names of all accounts."""
    return list(tx.execute(text("SELECT name FROM account ORDER BY name")).scalars())


@dataclass(frozen=True, kw_only=True)
class Bound:
    """What an account is bound to, and what speaks for it."""

    name: str
    number: int
    """Goes up whenever the account is bound to another account at a provider."""
    base_url: str | None
    key_mark: str | None
    open_count: int
    """Generations that the provider may still charge, or have."""
    probe_generation: str | None
    """The provider's id of the newest generation that this binding made; None when there is none."""


_READ = """
    SELECT name, binding AS number, base_url, key_mark,
        (SELECT count(*) FROM generation g
         WHERE g.account_id = a.id AND g.state IN ('sending', 'accepted', 'in_doubt')) AS open_count,
        (SELECT provider_id FROM generation g
         WHERE g.account_id = a.id AND g.provider_id IS NOT NULL AND g.accepted_at IS NOT NULL
           AND (a.bound_at IS NULL OR g.accepted_at >= a.bound_at)
         ORDER BY g.id DESC LIMIT 1) AS probe_generation
    FROM account a WHERE id = :id"""


def read_binding(tx: Connection, account_id: UUID) -> Bound:
    """Return the account's credential epoch, address and key fingerprint, without a lock."""
    row = tx.execute(text(_READ), {"id": account_id}).one()
    return Bound(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name


def lock_binding(tx: Connection, account_id: UUID) -> Bound:
    """Return the same, the account locked."""
    tx.execute(text("SELECT 1 FROM account WHERE id = :id FOR NO KEY UPDATE"), {"id": account_id})
    return read_binding(tx, account_id)


def remember_binding(tx: Connection, account_id: UUID, *, base_url: str, key_mark: str) -> None:
    """Store the provider's address and the key fingerprint of the account."""
    tx.execute(
        text("UPDATE account SET base_url = :url, key_mark = :mark WHERE id = :id"),
        {"url": base_url, "mark": key_mark, "id": account_id},
    )


def bind_anew(tx: Connection, account_id: UUID, *, now: datetime) -> int:
    """Begin a new credential epoch and return its number; nodes of an earlier one send nothing more."""
    number: int = tx.execute(
        text("UPDATE account SET binding = binding + 1, bound_at = :now WHERE id = :id RETURNING binding"),
        {"now": now, "id": account_id},
    ).scalar_one()
    return number


def as_json(found: AccountView) -> dict[str, Any]:
    """Return the account as scripts read it."""
    paused = None
    if found.pause_reason is not None:
        paused = {
            "reason": found.pause_reason,
            "message": found.pause_message,
            "since": _instant(found.paused_at),
            "next_look_at": _instant(found.probe_at),
        }
    return {
        "account": found.name,
        "provider": found.base_url,
        "rate": round(found.rate, 3),
        "is_rate_learned": found.is_rate_learned,
        "read_rate": found.read_rate,
        "max_in_flight": found.max_in_flight,
        "in_flight": found.in_flight,
        "blocked_until": _instant(found.blocked_until),
        "wallet": {"left": found.wallet_left, "read_at": _instant(found.wallet_read_at)},
        "pools": found.pools,
        "paused": paused,
        "paused_models": [_model_as_json(each) for each in found.paused_models],
        "settings": {
            "rate": found.rate_setting,
            "read_rate": found.read_rate_setting,
            "max_in_flight": found.max_in_flight_setting,
        },
    }


def _model_as_json(found: PausedModel) -> dict[str, Any]:
    return {
        "model": found.model,
        "status": found.status,
        "since": _instant(found.since),
        "next_look_at": _instant(found.probe_at),
    }


def _instant(value: Any) -> str | None:
    return None if value is None else value.isoformat()
