"""Prompts that fail, in the database: counted at each failure, forgotten at a success or when a person asks again.

The row of a prompt is locked last of all, after step, batch and job: any number of workers may fail one prompt at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.rules.job import JobEvent, JobState, next_state
from worker.engine.queries.steps import Work
from worker.engine.rules.prompt_breaker import CODE, FORGOTTEN_AFTER, Record

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


def count(tx: Connection, work: Work, *, code: str, now: datetime) -> Record:
    """Count one more failure of the work's prompt; gives what is remembered of it now."""
    row = tx.execute(_COUNT, _prompt(work) | {"code": code, "now": now, "stale": now - FORGOTTEN_AFTER}).one()
    return Record(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name


_OF_PROMPT = f"account_id = :account_id AND model = :model AND prompt_hash = {HASH.format(':prompt')}"

_READ = text(f"SELECT failures, last_failed_at, last_code FROM prompt_failure WHERE {_OF_PROMPT}")


def read(tx: Connection, work: Work) -> Record | None:
    """Return what is remembered of the work's prompt now."""
    row = tx.execute(_READ, _prompt(work)).one_or_none()
    return None if row is None else Record(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name


_FORGET = text(f"DELETE FROM prompt_failure WHERE {_OF_PROMPT}")


def forget(tx: Connection, work: Work) -> None:
    """Forget the failures of the work's prompt: it has succeeded."""
    tx.execute(_FORGET, _prompt(work))


_END_PENDING = text("""
    UPDATE job SET state = :target, ended_at = :now, failure_code = :code, failure_message = :message
    WHERE state = 'pending' AND id IN (
        SELECT id FROM job WHERE model = :model AND prompt = :prompt AND state = 'pending' AND id IN (
            SELECT id FROM job WHERE batch_id = :batch_id AND model = :model AND state = 'pending'
            ORDER BY line LIMIT :most)
        FOR NO KEY UPDATE SKIP LOCKED)""")


def end_pending(tx: Connection, work: Work, record: Record, *, now: datetime) -> int:
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
            "code": CODE,
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
    """Forget the failures of these prompts, in their order: a person asks for them again."""
    for prompt in prompts:
        tx.execute(
            text("""
                DELETE FROM prompt_failure
                WHERE account_id = :account_id AND model = :model AND prompt_hash = :prompt_hash"""),
            vars(prompt),
        )


def forget_prompt(tx: Connection, account_id: UUID, *, model: str, prompt: str) -> None:
    """Forget the failures of one prompt: a person wants it tried in any case."""
    tx.execute(_FORGET, {"account_id": account_id, "model": model, "prompt": prompt})


def _prompt(work: Work) -> dict[str, object]:
    return {"account_id": work.account_id, "model": work.model, "prompt": work.prompt}
