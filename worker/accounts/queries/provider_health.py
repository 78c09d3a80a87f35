"""How the provider does for an account, in the database; read and written while the account's row is locked."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.accounts.rules import provider_failing
from worker.accounts.rules.provider_failing import Evidence


@dataclass(frozen=True, kw_only=True)
class Health:
    """What is known of the provider, and how far it was tried while the account is paused."""

    evidence: Evidence = field(default_factory=Evidence)
    began_at: datetime | None = None
    """When the first generation that failed was created; None: nothing speaks against the provider."""
    lost_creates: int = 0
    canary_job_id: UUID | None = None
    canaries_passed: int = 0
    given_back: int = 0
    proved_at: datetime | None = None


_READ = text("""
    SELECT usual, score, failed, succeeded, began_at, lost_creates, canary_job_id, canaries_passed, given_back,
           proved_at FROM provider_health WHERE account_id = :id""")


def read(tx: Connection, account_id: UUID) -> Health:
    """Return what is known of the account's provider."""
    row = tx.execute(_READ, {"id": account_id}).one_or_none()
    if row is None:
        return Health()
    values = row._asdict()
    evidence = Evidence(**{name: values.pop(name) for name in ("usual", "score", "failed", "succeeded")})
    return Health(evidence=evidence, **values)


_SAVE = text("""
    INSERT INTO provider_health (account_id, usual, score, failed, succeeded, began_at, lost_creates, canary_job_id,
                                 canaries_passed, given_back, proved_at)
    VALUES (:id, :usual, :score, :failed, :succeeded, :began_at, :lost_creates, :canary_job_id, :canaries_passed,
            :given_back, :proved_at)
    ON CONFLICT (account_id) DO UPDATE SET usual = excluded.usual, score = excluded.score, failed = excluded.failed,
        succeeded = excluded.succeeded, began_at = excluded.began_at, lost_creates = excluded.lost_creates,
        canary_job_id = excluded.canary_job_id, canaries_passed = excluded.canaries_passed,
        given_back = excluded.given_back, proved_at = excluded.proved_at""")


def save(tx: Connection, account_id: UUID, health: Health) -> None:
    """Store what is known now."""
    values = vars(health) | vars(health.evidence)
    del values["evidence"]
    tx.execute(_SAVE, values | {"id": account_id})


def begin_canary(tx: Connection, account_id: UUID, job_id: UUID, *, now: datetime) -> None:
    """Note which job tries whether the provider works."""
    tx.execute(
        text("""
            UPDATE provider_health SET canary_job_id = :job_id, canary_at = :now WHERE account_id = :id"""),
        {"id": account_id, "job_id": job_id, "now": now},
    )


def end_episode(tx: Connection, account_id: UUID) -> None:
    """Forget what speaks against the provider, and what was proved before; the usual share stays."""
    health = read(tx, account_id)
    save(tx, account_id, Health(evidence=provider_failing.forgotten(health.evidence)))
    forget_decided(tx, account_id)


def forget_decided(tx: Connection, account_id: UUID) -> None:
    """Forget the failed generations that are booked; those that wait for the decision learn it at their next poll."""
    tx.execute(
        text("""
            DELETE FROM failed_attempt a USING generation g
            WHERE a.account_id = :id AND g.id = a.generation_id AND g.state <> 'accepted'"""),
        {"id": account_id},
    )
