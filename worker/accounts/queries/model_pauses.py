"""Models that the provider does not offer for now, in the database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.rules import retry


@dataclass(frozen=True, kw_only=True)
class PausedModel:
    """A model whose jobs wait."""

    model: str
    status: str
    since: datetime
    probe_at: datetime
    probes: int

    def __str__(self) -> str:
        """Return it in one line."""
        return (
            f"the provider does not offer the model {self.model} (model_unavailable: {self.status}) since"
            f" {self.since:%Y-%m-%d %H:%M:%S} UTC; its list is read again at {self.probe_at:%Y-%m-%d %H:%M:%S} UTC"
        )


AS_JSON = """
    SELECT json_agg(json_build_object('model', p.model, 'status', p.status, 'since', p.paused_at,
                                      'probe_at', p.probe_at, 'probes', p.probes) ORDER BY p.model)
    FROM model_pause p WHERE p.account_id = {account_id} AND p.paused_at IS NOT NULL"""
"""The paused models of an account as one value, to be read with ``from_json``; NULL: there are none."""


def from_json(found: Sequence[Mapping[str, Any]] | None) -> tuple[PausedModel, ...]:
    """Read what ``AS_JSON`` gives."""
    return tuple(
        PausedModel(**{**each, "since": datetime.fromisoformat(each["since"]), "probe_at": _instant(each["probe_at"])})
        for each in found or ()
    )


def _instant(value: str) -> datetime:
    return datetime.fromisoformat(value)


def of_account(tx: Connection, account_id: UUID) -> tuple[PausedModel, ...]:
    """Return the models of an account that are paused."""
    return from_json(tx.execute(text(AS_JSON.format(account_id=":id")), {"id": account_id}).scalar())


def of_name(tx: Connection, account: str) -> tuple[PausedModel, ...]:
    """Return the same for the account with that name."""
    query = AS_JSON.format(account_id="(SELECT id FROM account WHERE name = :name)")
    return from_json(tx.execute(text(query), {"name": account}).scalar())


_PAUSE = text("""
    INSERT INTO model_pause AS p (account_id, model, status, message, paused_at, probe_at, probes)
    VALUES (:account_id, :model, :status, :message, :now, :probe_at, 0)
    ON CONFLICT (account_id, model) DO UPDATE SET status = excluded.status, message = excluded.message,
        paused_at = excluded.paused_at, probe_at = excluded.probe_at,
        probes = CASE WHEN p.resumed_at > :relapse_after THEN p.probes ELSE 0 END
    WHERE p.paused_at IS NULL
    RETURNING probes""")

_SET_PROBE = text("UPDATE model_pause SET probe_at = :at WHERE account_id = :account_id AND model = :model")


def pause(
    tx: Connection,
    account_id: UUID,
    model: str,
    *,
    status: str,
    message: str,
    now: datetime,
    relapse: timedelta,
    jitter: float,
) -> bool:
    """Pause the model; False when it is paused already.

    A pause within ``relapse`` after the last one goes on counting its probes, so that they become ever rarer.
    """
    values = {"account_id": account_id, "model": model, "status": status, "message": message, "now": now}
    instants = {"probe_at": now + retry.PROBE.wait(1, jitter), "relapse_after": now - relapse}
    probes: int | None = tx.execute(_PAUSE, values | instants).scalar()
    if probes:
        at = now + retry.PROBE.wait(probes + 1, jitter)
        tx.execute(_SET_PROBE, {"at": at, "account_id": account_id, "model": model})
    return probes is not None


_BEGIN_PROBE = text("""
    UPDATE model_pause SET probe_at = :at, probes = probes + 1
    WHERE account_id = :account_id AND model = :model AND paused_at IS NOT NULL""")


def begin_probe(tx: Connection, account_id: UUID, paused: PausedModel, *, next_at: datetime) -> None:
    """Count a probe, and say when the one after it is due."""
    tx.execute(_BEGIN_PROBE, {"at": next_at, "account_id": account_id, "model": paused.model})


_RESUME = text("""
    UPDATE model_pause SET paused_at = NULL, probe_at = NULL, resumed_at = :now
    WHERE account_id = :account_id AND model = ANY(:models) AND paused_at IS NOT NULL RETURNING model""")


def resume(tx: Connection, account_id: UUID, models: Sequence[str], *, now: datetime) -> list[str]:
    """End the pauses of these models; returns those that were paused."""
    values = {"account_id": account_id, "models": list(models), "now": now}
    return list(tx.execute(_RESUME, values).scalars())


_IN_USE = text("""
    SELECT DISTINCT unnest(b.models) FROM batch b
    WHERE b.has_pending AND b.state IN ('open', 'paused') UNION
    SELECT DISTINCT j.model FROM step s JOIN job j ON j.id = s.job_id""")


def in_use(tx: Connection) -> set[str]:
    """Return the models that waiting and live jobs need."""
    return set(tx.execute(_IN_USE).scalars())
