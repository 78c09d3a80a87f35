"""Prompts that fail, and failed generations whose failures may be the provider's."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.accounts.queries import provider_health
from worker.accounts.queries.accounts import WORKS_FOR
from worker.core.rules.states import JobEvent, JobState, next_state
from worker.engine.queries.steps import Work
from worker.engine.rules.give_up import BREAKER_CLOSES_AFTER, PROMPT_BREAKER_OPEN, PromptRecord

HASH = "sha256(convert_to({}, 'UTF8'))"
"""How a prompt is known; what is stored was checked to be text without NUL, so it always has one."""
MOST_LOOKED_AT = 10_000
"""So many pending jobs, the next in line, are looked at for the same prompt; later ones end when they are admitted."""
_COUNT = text(f"""
    INSERT INTO prompt_failure AS f
        (account_id, model, prompt_hash, failures, first_failed_at, last_failed_at, last_code)
    VALUES (:account_id, :model, {HASH.format(":prompt")}, 1, :now, :now, :code)
    ON CONFLICT (account_id, model, prompt_hash) DO UPDATE SET
        failures = CASE WHEN f.last_failed_at > :stale THEN f.failures + 1 ELSE 1 END,
        first_failed_at = CASE WHEN f.last_failed_at > :stale THEN f.first_failed_at ELSE :now END,
        last_failed_at = :now, last_code = :code
    RETURNING failures, last_failed_at, last_code""")


def count_failure(tx: Connection, work: Work, *, code: str, now: datetime) -> PromptRecord:
    """Count one more failure of the work's prompt; returns its record."""
    row = tx.execute(_COUNT, _prompt(work) | {"code": code, "now": now, "stale": now - BREAKER_CLOSES_AFTER}).one()
    return PromptRecord(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name


_OF_PROMPT = f"account_id = :account_id AND model = :model AND prompt_hash = {HASH.format(':prompt')}"
_READ = text(f"SELECT failures, last_failed_at, last_code FROM prompt_failure WHERE {_OF_PROMPT}")


def prompt_record(tx: Connection, work: Work) -> PromptRecord | None:
    """Return the failure record of the work's prompt."""
    row = tx.execute(_READ, _prompt(work)).one_or_none()
    return None if row is None else PromptRecord(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name


_FORGET = text(f"DELETE FROM prompt_failure WHERE {_OF_PROMPT}")


def forget_prompt_of(tx: Connection, work: Work) -> None:
    """Forget the failures of the work's prompt: it has succeeded."""
    tx.execute(_FORGET, _prompt(work))


_END_PENDING = text("""
    UPDATE job SET state = :target, ended_at = :now, failure_code = :code, failure_message = :message
    WHERE state = 'pending' AND id IN (
        SELECT id FROM job WHERE model = :model AND prompt = :prompt AND state = 'pending' AND id IN (
            SELECT id FROM job WHERE batch_id = :batch_id AND model = :model AND state = 'pending'
            ORDER BY line LIMIT :most)
        FOR NO KEY UPDATE SKIP LOCKED)""")


def end_pending(tx: Connection, work: Work, record: PromptRecord, *, now: datetime) -> int:
    """End the batch's pending jobs with the work's prompt as failed, so that they take no slots; gives how many.

    The caller has locked the batch.
    """
    changed = tx.execute(
        _END_PENDING,
        {
            "batch_id": work.batch_id,
            "model": work.model,
            "prompt": work.prompt,
            "target": next_state(JobState.PENDING, JobEvent.FAIL),
            "now": now,
            "code": PROMPT_BREAKER_OPEN,
            "message": record.words,
            "most": MOST_LOOKED_AT,
        },
    )
    return changed.rowcount


@dataclass(frozen=True, kw_only=True)
class Known:
    """A prompt of which failures are remembered."""

    account_id: UUID
    model: str
    prompt_hash: bytes


_OF_FAILED = text(f"""
    SELECT f.account_id, f.model, f.prompt_hash FROM prompt_failure f JOIN batch b ON b.account_id = f.account_id
        OR EXISTS (SELECT FROM batch_account m WHERE m.batch_id = b.id AND m.account_id = f.account_id)
    WHERE b.id = :batch_id AND EXISTS (
        SELECT FROM job j
        WHERE j.batch_id = b.id AND j.state = 'failed' AND (CAST(:code AS text) IS NULL OR j.failure_code = :code)
          AND j.model = f.model AND {HASH.format("j.prompt")} = f.prompt_hash)
    ORDER BY f.account_id, f.model, f.prompt_hash""")


def of_failed(tx: Connection, batch_id: UUID, *, code: str | None) -> list[Known]:
    """Return the prompts of the batch's failed jobs, of that failure code if given, that have failures on record."""
    rows = tx.execute(_OF_FAILED, {"batch_id": batch_id, "code": code})
    return [Known(account_id=r.account_id, model=r.model, prompt_hash=bytes(r.prompt_hash)) for r in rows]


def forget_all(tx: Connection, prompts: Sequence[Known]) -> None:
    """Delete the recorded failures of these prompts, in order: a person retries them."""
    for prompt in prompts:
        tx.execute(
            text("""
                DELETE FROM prompt_failure
                WHERE account_id = :account_id AND model = :model AND prompt_hash = :prompt_hash"""),
            vars(prompt),
        )


def forget_prompt(tx: Connection, account_id: UUID, *, model: str, prompt: str) -> None:
    """Delete the recorded failures of one prompt: a person retries it."""
    tx.execute(_FORGET, {"account_id": account_id, "model": model, "prompt": prompt})


def _prompt(work: Work) -> dict[str, object]:
    return {"account_id": work.account_id, "model": work.model, "prompt": work.prompt}


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A failed generation whose failure may be the provider's."""

    began_at: datetime
    """Of the evidence that it was counted in."""
    failed_at: datetime
    is_excused: bool


def attempt(tx: Connection, generation_id: UUID) -> Attempt | None:
    """Return the record of a failed generation; None: its failure was not recorded before."""
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


def note_attempt(tx: Connection, work: Work, *, began_at: datetime, now: datetime, is_excused: bool = False) -> bool:
    """Record the failure of a generation; return whether it is the first recorded one of its prompt."""
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


def forget_attempt(tx: Connection, generation_id: UUID) -> None:
    """Forget a failed generation: whose failure it was is decided."""
    tx.execute(text("DELETE FROM failed_attempt WHERE generation_id = :id"), {"id": generation_id})


_IS_MORE_TO_COME = text(f"""
    SELECT EXISTS (
        SELECT FROM step s JOIN job j ON j.id = s.job_id
        WHERE s.account_id = :account_id AND s.kind IN ('upload', 'submit', 'poll') AND j.failures = 0
          AND j.prompt <> :prompt AND NOT EXISTS (
              SELECT FROM failed_attempt f WHERE f.generation_id = s.generation_id))
    OR EXISTS (
        SELECT FROM batch b CROSS JOIN unnest(b.models) m(model) CROSS JOIN LATERAL (
            SELECT prompt, failures FROM job
            WHERE batch_id = b.id AND job.model = m.model AND state = 'pending'
                AND (job.account_id IS NULL OR job.account_id = :account_id) ORDER BY line LIMIT :limit) j
        WHERE {WORKS_FOR.format(batch="b", account=":account_id")} AND b.state = 'open' AND b.has_pending
          AND j.failures = 0 AND j.prompt <> :prompt)""")
_LOOKED_AT = 20
"""So many pending jobs of a batch, the next in line, are looked at for another prompt."""


def is_more_to_come(tx: Connection, work: Work) -> bool:
    """Return whether a generation of another prompt that has not failed is in flight or next in line."""
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
    """Remove failures that were the provider's fault from jobs and prompts; returns how many attempts.

    The caller has locked the account.
    """
    tx.execute(_FORGET_PROMPTS, {"id": account_id})
    given = tx.execute(_GIVE_BACK, {"id": account_id}).rowcount
    tx.execute(_EXCUSE, {"id": account_id})
    if given:
        health = provider_health.read(tx, account_id)
        provider_health.save(tx, account_id, replace(health, given_back=health.given_back + given))
    return given
