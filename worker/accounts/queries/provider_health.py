"""How the provider does for an account, in the database; read and written while the account's row is locked."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from uuid import UUID

from sqlalchemy import Connection, RowMapping, TextClause, text

from worker.accounts.rules import provider_failing
from worker.accounts.rules.provider_failing import Evidence


class Source(Enum):
    """What speaks for or against the provider; each has evidence of its own, and what they have in common is shared."""

    GENERATIONS = auto()
    """How generations end."""
    CREATES = auto()
    """Whether creates are accepted."""


@dataclass(frozen=True, kw_only=True)
class Health:
    """What is known of the provider, and how far it was tried while the account is paused."""

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


_EVIDENCE = ("usual", "score", "failed", "succeeded", "began_at")
_SHARED = ("lost_creates", "canary_job_id", "canaries_passed", "given_back", "proved_at")
_PREFIXES = {Source.GENERATIONS: "", Source.CREATES: "create_"}


_READ = text(f"""
    SELECT {", ".join(f"{prefix}{name}" for prefix in _PREFIXES.values() for name in _EVIDENCE)}, {", ".join(_SHARED)}
    FROM provider_health WHERE account_id = :id""")


def read_all(tx: Connection, account_id: UUID) -> list[Health]:
    """Return what is known of the account's provider, once with the evidence of each source."""
    row = tx.execute(_READ, {"id": account_id}).mappings().one_or_none()
    return [Health(source=source) if row is None else _of_source(row, source) for source in Source]


def _of_source(row: RowMapping, source: Source) -> Health:
    values = {name: row[_PREFIXES[source] + name] for name in _EVIDENCE}
    began_at = values.pop("began_at")
    shared = {name: row[name] for name in _SHARED}
    return Health(source=source, evidence=Evidence(**values), began_at=began_at, **shared)


def read(tx: Connection, account_id: UUID, source: Source = Source.GENERATIONS) -> Health:
    """Return what is known of the account's provider, with the evidence of one source."""
    return next(health for health in read_all(tx, account_id) if health.source is source)


def worst(tx: Connection, account_id: UUID) -> Health:
    """Return what is known of the account's provider, with the evidence that speaks most against it."""
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
    """Store what is known now."""
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


def end_episode(tx: Connection, account_id: UUID) -> None:
    """Forget what speaks against the provider, and what was proved before; the usual share stays."""
    for health in read_all(tx, account_id):
        save(tx, account_id, Health(source=health.source, evidence=provider_failing.forgotten(health.evidence)))
    forget_decided(tx, account_id)


def forget_decided(tx: Connection, account_id: UUID) -> None:
    """Forget the failed generations that are booked; those that wait for the decision learn it at their next poll."""
    tx.execute(
        text("""
            DELETE FROM failed_attempt a USING generation g
            WHERE a.account_id = :id AND g.id = a.generation_id AND g.state NOT IN ('sending', 'accepted')"""),
        {"id": account_id},
    )
