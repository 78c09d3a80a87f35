"""Webhooks as the engine takes them: which polls they bring forward, and what is learned of them."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.db import session
from worker.engine.rules.hints import MOST_PER_GENERATION, Hints
from worker.engine.rules.polling import BUCKETS, Histogram


class HintOutcome(StrEnum):
    """What a webhook about a generation did."""

    TAKEN = "taken"
    """Its poll is due now."""
    REPEATED = "repeated"
    """As many have brought its poll forward as may."""
    LATE = "late"
    """No poll of it is to come: mostly its end was seen before."""
    UNKNOWN = "unknown"
    """The account has no generation of this id."""


# Of a poll that is under way the lease stays; `step_moves.POSTPONE` sees that a webhook came meanwhile.
_TAKE = text("""
    WITH found AS (
        SELECT g.id, g.job_id FROM generation g WHERE g.provider_id = :provider_id AND g.account_id = :account_id),
    taken AS (
        UPDATE step SET due_at = least(step.due_at, :now), hinted_at = :now, hints = step.hints + 1 FROM found
        WHERE step.job_id = found.job_id AND step.generation_id = found.id AND step.kind = 'poll'
            AND step.hints < :most
        RETURNING step.job_id)
    SELECT EXISTS (SELECT FROM found) AS is_known, EXISTS (SELECT FROM taken) AS is_taken, EXISTS (
        SELECT FROM step JOIN found ON step.job_id = found.job_id AND step.generation_id = found.id
        WHERE step.kind = 'poll') AS is_polled""")


def take(tx: Connection, account_id: UUID, provider_id: str, *, now: datetime) -> HintOutcome:
    """Make the poll of a generation due at ``now``, and wake the dispatchers if it was.

    Takes the step's row lock. However many come for one generation, few bring its poll forward.
    """
    values = {"provider_id": provider_id, "account_id": account_id, "now": now, "most": MOST_PER_GENERATION}
    row = tx.execute(_TAKE, values).one()
    if row.is_taken:
        session.notify(tx)
        return HintOutcome.TAKEN
    if not row.is_known:
        return HintOutcome.UNKNOWN
    return HintOutcome.REPEATED if row.is_polled else HintOutcome.LATE


_HAS_ENDPOINT = text("""
    SELECT EXISTS (SELECT FROM webhook_endpoint WHERE account_id = :id AND removed_at IS NULL)""")


def has_endpoint(tx: Connection, account_id: UUID) -> bool:
    """Return whether webhooks of the account are expected at all."""
    return bool(tx.execute(_HAS_ENDPOINT, {"id": account_id}).scalar_one())


_LOCK = text("""
    INSERT INTO webhook_delay (account_id, counts, missed, missed_in_row, updated_at)
    VALUES (:account_id, :empty, 0, 0, now())
    ON CONFLICT (account_id) DO UPDATE SET updated_at = webhook_delay.updated_at
    RETURNING counts, missed, missed_in_row""")
_SAVE = text("""
    UPDATE webhook_delay SET counts = :counts, missed = :missed, missed_in_row = :missed_in_row, updated_at = :now
    WHERE account_id = :account_id""")
_READ = text("SELECT counts, missed, missed_in_row FROM webhook_delay WHERE account_id = :account_id")


def lock(tx: Connection, account_id: UUID) -> Hints:
    """Lock the webhook statistics of an account; creates them empty."""
    row = tx.execute(_LOCK, {"account_id": account_id, "empty": [0.0] * BUCKETS}).one()
    return _hints(row.counts, row.missed, row.missed_in_row)


def save(tx: Connection, account_id: UUID, known: Hints, *, now: datetime) -> None:
    """Store the locked statistics."""
    tx.execute(
        _SAVE,
        {
            "account_id": account_id,
            "counts": list(known.delays.counts),
            "missed": known.missed,
            "missed_in_row": known.missed_in_row,
            "now": now,
        },
    )


def read(tx: Connection, account_id: UUID) -> Hints:
    """Return the webhook statistics of an account."""
    row = tx.execute(_READ, {"account_id": account_id}).one_or_none()
    return Hints() if row is None else _hints(row.counts, row.missed, row.missed_in_row)


def _hints(counts: list[float], missed: float, missed_in_row: int) -> Hints:
    return Hints(delays=Histogram(counts=tuple(counts)), missed=missed, missed_in_row=missed_in_row)
