"""Bindings in the database: which provider, and which account there, an account's work was last sent to."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text


@dataclass(frozen=True, kw_only=True)
class Bound:
    """What an account is bound to, and what speaks for it."""

    name: str
    number: int
    """Goes up whenever the account is bound to another account at a provider."""
    base_url: str | None
    key_mark: str | None
    open_count: int
    """Generations that the provider may still charge, or have."""
    witness: str | None
    """The provider's id of the newest generation that this binding made; None when there is none."""


_READ = """
    SELECT name, binding AS number, base_url, key_mark,
        (SELECT count(*) FROM generation g
         WHERE g.account_id = a.id AND g.state IN ('sending', 'accepted', 'in_doubt')) AS open_count,
        (SELECT provider_id FROM generation g
         WHERE g.account_id = a.id AND g.provider_id IS NOT NULL AND g.accepted_at IS NOT NULL
           AND (a.bound_at IS NULL OR g.accepted_at >= a.bound_at)
         ORDER BY g.id DESC LIMIT 1) AS witness
    FROM account a WHERE id = :id"""


def read(tx: Connection, account_id: UUID) -> Bound:
    """Return what the account is bound to, without a lock."""
    row = tx.execute(text(_READ), {"id": account_id}).one()
    return Bound(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name


def lock(tx: Connection, account_id: UUID) -> Bound:
    """Return the same, the account locked."""
    tx.execute(text("SELECT 1 FROM account WHERE id = :id FOR NO KEY UPDATE"), {"id": account_id})
    return read(tx, account_id)


def remember(tx: Connection, account_id: UUID, *, base_url: str, key_mark: str) -> None:
    """Keep address and key of the same account at the provider."""
    tx.execute(
        text("UPDATE account SET base_url = :url, key_mark = :mark WHERE id = :id"),
        {"url": base_url, "mark": key_mark, "id": account_id},
    )


def bind_anew(tx: Connection, account_id: UUID, *, now: datetime) -> int:
    """Begin another binding; gives its number. Nodes that were put together under an earlier one send nothing more."""
    number: int = tx.execute(
        text("UPDATE account SET binding = binding + 1, bound_at = :now WHERE id = :id RETURNING binding"),
        {"now": now, "id": account_id},
    ).scalar_one()
    return number
