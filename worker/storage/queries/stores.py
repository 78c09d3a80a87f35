"""Which store an account's images lie in, since when it has failed, and which steps wait for it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.rules.errors import STORE_UNAVAILABLE


@dataclass(frozen=True, kw_only=True)
class StoreRow:
    """What the database knows of an account's store."""

    account_id: UUID
    account: str
    identity: UUID | None
    """None: it has not been used yet, or only by a release that knew no identities."""
    place: str | None
    """Where it was when it was adopted."""
    failed_at: datetime | None


_READ = """
    SELECT id AS account_id, name AS account, store_id AS identity, store_place AS place, store_failed_at AS failed_at
    FROM account WHERE """


def read(tx: Connection, account_id: UUID) -> StoreRow:
    """Read what is known of the account's store."""
    return StoreRow(**tx.execute(text(f"{_READ} id = :id"), {"id": account_id}).mappings().one())


def of_account(tx: Connection, name: str) -> StoreRow | None:
    """Read what is known of the store of the account with that name; None when there is no such account."""
    row = tx.execute(text(f"{_READ} name = :name"), {"name": name}).mappings().one_or_none()
    return None if row is None else StoreRow(**row)


def adopt(tx: Connection, account_id: UUID, identity: UUID, *, before: UUID | None, place: str) -> bool:
    """Let this be the account's store; False when it is no longer the one that it was ``before``."""
    changed = tx.execute(
        text("""
            UPDATE account SET store_id = :identity, store_place = :place
            WHERE id = :id AND store_id IS NOT DISTINCT FROM :before"""),
        {"id": account_id, "identity": identity, "before": before, "place": place},
    )
    return changed.rowcount == 1


_KNOWN_FILES = text("""
    (SELECT r.path FROM result r JOIN generation g ON g.id = r.generation_id
     WHERE g.account_id = :id ORDER BY r.generation_id DESC LIMIT :limit)
    UNION ALL
    (SELECT 'references/' || u.reference_hash FROM upload u WHERE u.account_id = :id LIMIT :limit)""")


def known_files(tx: Connection, account_id: UUID, *, limit: int) -> list[str]:
    """Return the names of some of the newest images and of some references that the account's store must hold."""
    return list(tx.execute(_KNOWN_FILES, {"id": account_id, "limit": limit}).scalars())


def note_failure(tx: Connection, account_id: UUID, *, now: datetime) -> datetime:
    """Remember that the store fails, and return since when it has."""
    since: datetime = tx.execute(
        text("""
            UPDATE account SET store_failed_at = coalesce(store_failed_at, :now) WHERE id = :id
            RETURNING store_failed_at"""),
        {"id": account_id, "now": now},
    ).scalar_one()
    return since


def forget_failure(tx: Connection, account_id: UUID) -> None:
    """Remember that the store works."""
    tx.execute(text("UPDATE account SET store_failed_at = NULL WHERE id = :id"), {"id": account_id})


def wake(tx: Connection, account_id: UUID, *, now: datetime) -> int:
    """Let the steps that wait for the store be due, and return how many did."""
    woken = tx.execute(
        text("""
            UPDATE step SET due_at = :now WHERE job_id IN (
                SELECT job_id FROM step
                WHERE account_id = :id AND kind IN ('upload', 'collect') AND starts_with(error, :code) AND due_at > :now
                FOR UPDATE SKIP LOCKED)"""),
        {"id": account_id, "now": now, "code": STORE_UNAVAILABLE},
    )
    return woken.rowcount
