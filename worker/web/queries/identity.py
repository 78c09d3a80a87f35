"""Users, sign-in links, sessions and tokens in the database; secrets are kept as their SHA-256 alone."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

SEEN_EVERY = timedelta(minutes=1)
"""How exactly it is known when a session or a token was last used, so that not every request writes."""


@dataclass(frozen=True, kw_only=True)
class UserRow:
    """One user."""

    id: UUID
    name: str
    roles: list[str]
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class TokenRow:
    """One token, with what its user may do now."""

    id: UUID
    name: str
    user: str
    roles: list[str]
    prefix: str
    rights: list[str]
    owner: str | None
    max_priority: str | None
    credit_cap: int | None
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class SessionRow:
    """A session that is valid, with its user."""

    user: str
    roles: list[str]
    source: str
    expires_at: datetime
    seen_at: datetime


_USER = "id, name, roles, created_at, disabled_at"
_ADD_USER = text(f"""
    INSERT INTO app_user (id, name, roles, created_at) VALUES (:id, :name, :roles, :now)
    ON CONFLICT (name) DO NOTHING RETURNING {_USER}""")
_USERS = text(f"SELECT {_USER} FROM app_user ORDER BY name")
_FIND_USER = text(f"SELECT {_USER} FROM app_user WHERE name = :name")
_SET_USER = text(f"""
    UPDATE app_user SET roles = :roles, disabled_at = :disabled_at WHERE id = :id RETURNING {_USER}""")


def add_user(tx: Connection, *, user_id: UUID, name: str, roles: list[str], now: datetime) -> UserRow | None:
    """Add a user; None when the name is taken."""
    row = tx.execute(_ADD_USER, {"id": user_id, "name": name, "roles": roles, "now": now}).one_or_none()
    return None if row is None else _user(row)


def users(tx: Connection) -> list[UserRow]:
    """Return all users by name."""
    return [_user(row) for row in tx.execute(_USERS)]


def find_user(tx: Connection, name: str) -> UserRow | None:
    """Return the user of that name."""
    row = tx.execute(_FIND_USER, {"name": name}).one_or_none()
    return None if row is None else _user(row)


def set_user(tx: Connection, user_id: UUID, *, roles: list[str], disabled_at: datetime | None) -> UserRow:
    """Set the roles of a user, and since when it may do nothing."""
    return _user(tx.execute(_SET_USER, {"id": user_id, "roles": roles, "disabled_at": disabled_at}).one())


def _user(row: Any) -> UserRow:
    return UserRow(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name


_ADD_LINK = text("""
    INSERT INTO sign_in_link (digest, user_id, created_at, expires_at)
    VALUES (:digest, :user_id, :now, :expires_at)""")
_USE_LINK = text(f"""
    UPDATE sign_in_link l SET used_at = :now FROM app_user u
    WHERE l.digest = :digest AND l.used_at IS NULL AND l.expires_at > :now
      AND u.id = l.user_id AND u.disabled_at IS NULL
    RETURNING {", ".join(f"u.{name}" for name in _USER.split(", "))}""")
_SWEEP_LINKS = text("DELETE FROM sign_in_link WHERE expires_at < :before")


def add_link(tx: Connection, *, digest: bytes, user_id: UUID, now: datetime, expires_at: datetime) -> None:
    """Keep a link that signs the user in once."""
    tx.execute(_SWEEP_LINKS, {"before": now})
    tx.execute(_ADD_LINK, {"digest": digest, "user_id": user_id, "now": now, "expires_at": expires_at})


def use_link(tx: Connection, digest: bytes, *, now: datetime) -> UserRow | None:
    """Use a link up and return whom it signs in; None when it is not known, used or too old."""
    row = tx.execute(_USE_LINK, {"digest": digest, "now": now}).one_or_none()
    return None if row is None else _user(row)


_ADD_SESSION = text("""
    INSERT INTO web_session (digest, user_id, source, created_at, seen_at, expires_at)
    VALUES (:digest, :user_id, :source, :now, :now, :expires_at)""")
_SESSION = text("""
    SELECT u.name AS user, u.roles, s.source, s.expires_at, s.seen_at
    FROM web_session s JOIN app_user u ON u.id = s.user_id
    WHERE s.digest = :digest AND s.expires_at > :now AND s.seen_at > :idle_since AND u.disabled_at IS NULL""")
_SEE_SESSION = text("UPDATE web_session SET seen_at = :now WHERE digest = :digest AND seen_at < :now")
_END_SESSION = text("DELETE FROM web_session WHERE digest = :digest")
_END_SESSIONS = text("DELETE FROM web_session WHERE user_id = :user_id")
_SWEEP_SESSIONS = text("DELETE FROM web_session WHERE expires_at < :now")


def add_session(
    tx: Connection, *, digest: bytes, user_id: UUID, source: str, now: datetime, expires_at: datetime
) -> None:
    """Keep a browser as signed in."""
    tx.execute(_SWEEP_SESSIONS, {"now": now})
    values = {"digest": digest, "user_id": user_id, "source": source, "now": now, "expires_at": expires_at}
    tx.execute(_ADD_SESSION, values)


def session(tx: Connection, digest: bytes, *, now: datetime, idle_since: datetime) -> SessionRow | None:
    """Return the session that is valid and was used since then."""
    row = tx.execute(_SESSION, {"digest": digest, "now": now, "idle_since": idle_since}).one_or_none()
    if row is None:
        return None
    if row.seen_at < now - SEEN_EVERY:
        tx.execute(_SEE_SESSION, {"digest": digest, "now": now})
    return SessionRow(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name


def end_session(tx: Connection, digest: bytes) -> None:
    """Sign the browser out."""
    tx.execute(_END_SESSION, {"digest": digest})


def end_sessions(tx: Connection, user_id: UUID) -> None:
    """Sign all browsers of the user out."""
    tx.execute(_END_SESSIONS, {"user_id": user_id})


_COLUMNS = """
    t.id, t.name, u.name AS user, u.roles, t.prefix, t.rights, t.owner, t.max_priority, t.credit_cap, t.created_at,
    t.created_by, t.expires_at, t.used_at, t.revoked_at"""
_ADD_TOKEN = text("""
    INSERT INTO api_token (id, name, user_id, prefix, digest, rights, owner, max_priority, credit_cap, created_at,
        created_by, expires_at)
    VALUES (:id, :name, :user_id, :prefix, :digest, :rights, :owner, :max_priority, :credit_cap, :now, :created_by,
        :expires_at)
    ON CONFLICT (name) DO NOTHING""")
_TOKENS = text(f"SELECT {_COLUMNS} FROM api_token t JOIN app_user u ON u.id = t.user_id ORDER BY t.name")
_VALID_TOKEN = text(f"""
    SELECT {_COLUMNS} FROM api_token t JOIN app_user u ON u.id = t.user_id
    WHERE t.digest = :digest AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > :now)
      AND u.disabled_at IS NULL""")
_SEE_TOKEN = text("UPDATE api_token SET used_at = :now WHERE id = :id")
_REVOKE = text("UPDATE api_token SET revoked_at = :now WHERE name = :name AND revoked_at IS NULL")


def add_token(tx: Connection, **values: Any) -> bool:
    """Keep a token by its digest; False when the name is taken."""
    return tx.execute(_ADD_TOKEN, values).rowcount == 1


def tokens(tx: Connection) -> list[TokenRow]:
    """Return all tokens by name, those that are worth nothing any more too."""
    return [TokenRow(**row._mapping) for row in tx.execute(_TOKENS)]  # noqa: SLF001 - SQLAlchemy's documented name


def valid_token(tx: Connection, digest: bytes, *, now: datetime) -> TokenRow | None:
    """Return the token of this digest if it is valid, and note that it was used."""
    row = tx.execute(_VALID_TOKEN, {"digest": digest, "now": now}).one_or_none()
    if row is None:
        return None
    if row.used_at is None or row.used_at < now - SEEN_EVERY:
        tx.execute(_SEE_TOKEN, {"id": row.id, "now": now})
    return TokenRow(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name


def revoke(tx: Connection, name: str, *, now: datetime) -> bool:
    """Make the token worthless; False when there is no valid one of that name."""
    return tx.execute(_REVOKE, {"name": name, "now": now}).rowcount == 1
