"""What is known of the provider for an account: evidence that it fails, and models that it does not offer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, TextClause, text

from worker.accounts.rules import provider_failing
from worker.accounts.rules.provider_failing import Evidence
from worker.core.rules import retry


class Source(Enum):
    """A source of evidence about the provider's health; each has its own counters."""

    GENERATIONS = auto()
    """How generations end."""
    CREATES = auto()
    """Whether creates are accepted."""


@dataclass(frozen=True, kw_only=True)
class Health:
    """The evidence about the provider's health, and the canaries that were sent while the account is paused."""

    source: Source = Source.GENERATIONS
    """Of the evidence."""
    evidence: Evidence = field(default_factory=Evidence)
    began_at: datetime | None = None
    """When the first generation that failed was created, or a create refused; None: nothing is against the provider."""
    lost_creates: int = 0
    canary_job_id: UUID | None = None
    canaries_passed: int = 0
    given_back: int = 0
    proved_at: datetime | None = None
    recovered_at: datetime | None = None
    """When the last pause for failures ended; what was created before says nothing about its job."""


_EVIDENCE = ("usual", "score", "failed", "succeeded", "began_at")
_SHARED = ("lost_creates", "canary_job_id", "canaries_passed", "given_back", "proved_at", "recovered_at")
_PREFIXES = {Source.GENERATIONS: "", Source.CREATES: "create_"}
_READ = text(f"""
    SELECT {", ".join(f"{prefix}{name}" for prefix in _PREFIXES.values() for name in _EVIDENCE)}, {", ".join(_SHARED)}
    FROM provider_health WHERE account_id = :id""")


def read_all(tx: Connection, account_id: UUID) -> list[Health]:
    """Return the health of the account's provider, once with the evidence of each source."""
    row = tx.execute(_READ, {"id": account_id}).mappings().one_or_none()
    return [Health(source=source) if row is None else _of_source(row, source) for source in Source]


def _of_source(row: RowMapping, source: Source) -> Health:
    values = {name: row[_PREFIXES[source] + name] for name in _EVIDENCE}
    began_at = values.pop("began_at")
    shared = {name: row[name] for name in _SHARED}
    return Health(source=source, evidence=Evidence(**values), began_at=began_at, **shared)


def read(tx: Connection, account_id: UUID, source: Source = Source.GENERATIONS) -> Health:
    """Return the health of the account's provider, with the evidence of one source."""
    return next(health for health in read_all(tx, account_id) if health.source is source)


def worst(tx: Connection, account_id: UUID) -> Health:
    """Return the health of the account's provider, with the evidence of the worst source."""
    return max(read_all(tx, account_id), key=lambda health: health.evidence.score)


def _save_of(source: Source) -> TextClause:
    columns = {f"{_PREFIXES[source]}{name}": f":{name}" for name in _EVIDENCE} | {name: f":{name}" for name in _SHARED}
    usual = {} if source is Source.GENERATIONS else {"usual": str(provider_failing.FIRST_GUESS)}
    inserted = {"account_id": ":id"} | usual | columns
    return text(f"""
        INSERT INTO provider_health ({", ".join(inserted)}) VALUES ({", ".join(inserted.values())})
        ON CONFLICT (account_id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in columns)}""")


_SAVE = {source: _save_of(source) for source in Source}


def save(tx: Connection, account_id: UUID, health: Health) -> None:
    """Store the health of the account's provider."""
    values = vars(health) | vars(health.evidence) | {"id": account_id}
    del values["evidence"], values["source"]
    tx.execute(_SAVE[health.source], values)


def begin_canary(tx: Connection, account_id: UUID, job_id: UUID, *, now: datetime) -> None:
    """Note which job tries whether the provider works."""
    tx.execute(
        text("""
            UPDATE provider_health SET canary_job_id = :job_id, canary_at = :now WHERE account_id = :id"""),
        {"id": account_id, "job_id": job_id, "now": now},
    )


def end_episode(tx: Connection, account_id: UUID, *, now: datetime) -> None:
    """Reset the evidence against the provider, and the proofs of before; the usual failure rate stays."""
    for health in read_all(tx, account_id):
        evidence = provider_failing.forgotten(health.evidence)
        save(tx, account_id, Health(source=health.source, evidence=evidence, recovered_at=now))
    forget_decided(tx, account_id)


def forget_decided(tx: Connection, account_id: UUID) -> None:
    """Forget the failed generations that are booked; those that wait for the decision learn it at their next poll."""
    tx.execute(
        text("""
            DELETE FROM failed_attempt a USING generation g
            WHERE a.account_id = :id AND g.id = a.generation_id AND g.state NOT IN ('sending', 'accepted')"""),
        {"id": account_id},
    )


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


def paused_model_from_json(found: Sequence[Mapping[str, Any]] | None) -> tuple[PausedModel, ...]:
    """Read what ``AS_JSON`` gives."""
    return tuple(
        PausedModel(**{**each, "since": datetime.fromisoformat(each["since"]), "probe_at": _instant(each["probe_at"])})
        for each in found or ()
    )


def _instant(value: str) -> datetime:
    return datetime.fromisoformat(value)


def paused_models(tx: Connection, account_id: UUID) -> tuple[PausedModel, ...]:
    """Return the models of an account that are paused."""
    return paused_model_from_json(tx.execute(text(AS_JSON.format(account_id=":id")), {"id": account_id}).scalar())


def paused_models_of(tx: Connection, account: str) -> tuple[PausedModel, ...]:
    """Return the same for the account with that name."""
    query = AS_JSON.format(account_id="(SELECT id FROM account WHERE name = :name)")
    return paused_model_from_json(tx.execute(text(query), {"name": account}).scalar())


_PAUSE = text("""
    INSERT INTO model_pause AS p (account_id, model, status, message, paused_at, probe_at, probes)
    VALUES (:account_id, :model, :status, :message, :now, :probe_at, 0)
    ON CONFLICT (account_id, model) DO UPDATE SET status = excluded.status, message = excluded.message,
        paused_at = excluded.paused_at, probe_at = excluded.probe_at,
        probes = CASE WHEN p.resumed_at > :relapse_after THEN p.probes ELSE 0 END
    WHERE p.paused_at IS NULL
    RETURNING probes""")
_SET_PROBE = text("UPDATE model_pause SET probe_at = :at WHERE account_id = :account_id AND model = :model")


def pause_model(
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


def begin_model_probe(tx: Connection, account_id: UUID, paused: PausedModel, *, next_at: datetime) -> None:
    """Count a probe, and say when the one after it is due."""
    tx.execute(_BEGIN_PROBE, {"at": next_at, "account_id": account_id, "model": paused.model})


_RESUME = text("""
    UPDATE model_pause SET paused_at = NULL, probe_at = NULL, resumed_at = :now
    WHERE account_id = :account_id AND model = ANY(:models) AND paused_at IS NOT NULL RETURNING model""")


def resume_model(tx: Connection, account_id: UUID, models: Sequence[str], *, now: datetime) -> list[str]:
    """End the pauses of these models; returns those that were paused."""
    values = {"account_id": account_id, "models": list(models), "now": now}
    return list(tx.execute(_RESUME, values).scalars())


_RESUMED = text("SELECT resumed_at FROM model_pause WHERE account_id = :account_id AND model = :model")


def model_resumed_at(tx: Connection, account_id: UUID, model: str) -> datetime | None:
    """Return when the last pause of the model ended; None: it was never paused, or is now for the first time."""
    found: datetime | None = tx.execute(_RESUMED, {"account_id": account_id, "model": model}).scalar()
    return found


_IN_USE = text("""
    SELECT DISTINCT unnest(b.models) FROM batch b
    WHERE b.has_pending AND b.state IN ('open', 'paused') UNION
    SELECT DISTINCT j.model FROM step s JOIN job j ON j.id = s.job_id""")


def in_use(tx: Connection) -> set[str]:
    """Return the models that waiting and live jobs need."""
    return set(tx.execute(_IN_USE).scalars())
