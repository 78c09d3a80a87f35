"""Failed generations whose failures may be the provider's; written while the account's row is locked."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.accounts.queries import provider_health
from worker.engine.queries.prompt_failures import HASH
from worker.engine.queries.steps import Work


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A failed generation whose failure may be the provider's."""

    began_at: datetime
    """Of the evidence that it was counted in."""
    failed_at: datetime
    is_excused: bool


def attempt(tx: Connection, generation_id: UUID) -> Attempt | None:
    """Return what is noted of a failed generation; None: this is the first time that its failure is seen."""
    row = tx.execute(
        text("SELECT began_at, failed_at, is_excused FROM failed_attempt WHERE generation_id = :id"),
        {"id": generation_id},
    ).one_or_none()
    return None if row is None else Attempt(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name


_NOTE = text(f"""
    INSERT INTO failed_attempt
        (generation_id, account_id, job_id, prompt_hash, began_at, failed_at, is_counted, is_excused)
    VALUES (:id, :account_id, :job_id, {HASH.format(":prompt")}, :began_at, :now, false, :is_excused)
    RETURNING (SELECT count(*) FROM failed_attempt f
               WHERE f.account_id = :account_id AND f.prompt_hash = {HASH.format(":prompt")})""")


def note(tx: Connection, work: Work, *, began_at: datetime, now: datetime, is_excused: bool = False) -> bool:
    """Keep that a generation has failed; say whether it is the first one of its prompt that is kept."""
    values = {"id": work.generation_id, "account_id": work.account_id, "job_id": work.job_id, "prompt": work.prompt}
    earlier = tx.execute(_NOTE, values | {"began_at": began_at, "now": now, "is_excused": is_excused}).scalar_one()
    return not earlier


def count_attempt(tx: Connection, generation_id: UUID) -> None:
    """Note that a failure counts as one of its job's."""
    tx.execute(text("UPDATE failed_attempt SET is_counted = true WHERE generation_id = :id"), {"id": generation_id})


def excuse(tx: Connection, generation_id: UUID) -> None:
    """Note that a failure costs its job no attempt."""
    tx.execute(text("UPDATE failed_attempt SET is_excused = true WHERE generation_id = :id"), {"id": generation_id})


def excused(tx: Connection, job_id: UUID) -> int:
    """Count the failures of a job that are kept and cost it no attempt."""
    query = text("SELECT count(*) FROM failed_attempt WHERE job_id = :id AND is_excused")
    return int(tx.execute(query, {"id": job_id}).scalar_one())


_FIRST = text(f"""
    SELECT job_id = :job_id FROM failed_attempt
    WHERE account_id = :account_id AND prompt_hash = {HASH.format(":prompt")} ORDER BY generation_id LIMIT 1""")


def is_first_of_prompt(tx: Connection, work: Work) -> bool:
    """Return whether the oldest recorded failure of the prompt belongs to this job."""
    values = {"job_id": work.job_id, "account_id": work.account_id, "prompt": work.prompt}
    return bool(tx.execute(_FIRST, values).scalar_one_or_none())


def forget(tx: Connection, generation_id: UUID) -> None:
    """Forget a failed generation: whose failure it was is decided."""
    tx.execute(text("DELETE FROM failed_attempt WHERE generation_id = :id"), {"id": generation_id})


_IS_MORE_TO_COME = text("""
    SELECT EXISTS (
        SELECT FROM step s JOIN job j ON j.id = s.job_id
        WHERE s.account_id = :account_id AND s.kind IN ('upload', 'submit', 'poll') AND j.failures = 0
          AND j.prompt <> :prompt AND NOT EXISTS (
              SELECT FROM failed_attempt f WHERE f.generation_id = s.generation_id))
    OR EXISTS (
        SELECT FROM batch b CROSS JOIN unnest(b.models) m(model) CROSS JOIN LATERAL (
            SELECT prompt, failures FROM job
            WHERE batch_id = b.id AND job.model = m.model AND state = 'pending' ORDER BY line LIMIT :limit) j
        WHERE b.account_id = :account_id AND b.state = 'open' AND b.has_pending
          AND j.failures = 0 AND j.prompt <> :prompt)""")

_LOOKED_AT = 20
"""So many pending jobs of a batch, the next in line, are looked at for another prompt."""


def is_more_to_come(tx: Connection, work: Work) -> bool:
    """Say whether a generation of another prompt, which has not failed yet, is under way or next in line."""
    values = {"account_id": work.account_id, "prompt": work.prompt, "limit": _LOOKED_AT}
    return bool(tx.execute(_IS_MORE_TO_COME, values).scalar_one())


_FORGET_PROMPTS = text("""
    DELETE FROM prompt_failure f USING failed_attempt a JOIN job j ON j.id = a.job_id
    WHERE a.account_id = :id AND f.account_id = a.account_id AND f.model = j.model AND f.prompt_hash = a.prompt_hash
      AND f.first_failed_at >= a.began_at""")

# A job that another transaction is writing is not waited for, which could deadlock: its attempts stay counted, and are
# given back with the next failure.
_GIVE_BACK = text("""
    WITH counted AS (
        SELECT job_id, count(*) AS attempts FROM failed_attempt WHERE account_id = :id AND is_counted GROUP BY job_id),
    free AS (SELECT j.id FROM job j JOIN counted c ON c.job_id = j.id FOR NO KEY UPDATE OF j SKIP LOCKED),
    given AS (
        UPDATE job SET failures = greatest(job.failures - c.attempts, 0) FROM counted c
        WHERE job.id = c.job_id AND job.id IN (SELECT id FROM free) AND job.state IN ('pending', 'active'))
    UPDATE failed_attempt SET is_excused = true, is_counted = false
    WHERE account_id = :id AND is_counted AND job_id IN (SELECT id FROM free)""")

_EXCUSE = text("UPDATE failed_attempt SET is_excused = true WHERE account_id = :id AND NOT is_counted")


def give_back(tx: Connection, account_id: UUID) -> int:
    """Take the failures that are the provider's off their jobs and prompts; returns how many attempts that were.

    The caller has locked the account.
    """
    tx.execute(_FORGET_PROMPTS, {"id": account_id})
    given = tx.execute(_GIVE_BACK, {"id": account_id}).rowcount
    tx.execute(_EXCUSE, {"id": account_id})
    if given:
        health = provider_health.read(tx, account_id)
        provider_health.save(tx, account_id, replace(health, given_back=health.given_back + given))
    return given
