"""How fast an account goes and how much it has open: what the settings said, and what a person has set since."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from worker.accounts.queries import model_pauses
from worker.accounts.queries.accounts import START_RATE
from worker.accounts.queries.model_pauses import PausedModel

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
    """Apply each setting that says something else than when it was last applied.

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
    """Give reads a pace of their own; None: they share the one pace again."""
    tx.execute(
        text("UPDATE account SET read_rate = :rate, read_next_slot_at = NULL WHERE id = :id"),
        {"rate": rate, "id": account_id},
    )


@dataclass(frozen=True, kw_only=True)
class AccountView:
    """An account as a person looks at it."""

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
    paused_models: tuple[PausedModel, ...]


_VIEW = text(f"""
    SELECT a.id, a.name, a.base_url, a.rate, a.is_rate_learned, a.rate_setting, a.read_rate,
           a.read_rate_setting, a.max_in_flight, a.max_in_flight_setting,
           (SELECT count(*) FROM step s WHERE s.account_id = a.id) AS in_flight,
           a.closed_at,
           CASE WHEN a.blocked_until > :now THEN a.blocked_until END AS blocked_until, a.pause_reason, a.pause_message,
           a.paused_at, a.probe_at, a.wallet_left, a.wallet_read_at,
           ({model_pauses.AS_JSON.format(account_id="a.id")}) AS paused_models
    FROM account a WHERE a.name = :name""")


def view(tx: Connection, name: str, *, now: datetime) -> AccountView | None:
    """Return the account of that name as it is; None when there is none."""
    row = tx.execute(_VIEW, {"name": name, "now": now}).one_or_none()
    if row is None:
        return None
    return AccountView(**row._asdict() | {"paused_models": model_pauses.from_json(row.paused_models)})


def names(tx: Connection) -> list[str]:
    """Return the names of all accounts."""
    return list(tx.execute(text("SELECT name FROM account ORDER BY name")).scalars())
