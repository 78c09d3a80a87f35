"""Browsers that are signed in: single-use links, session cookies, and the user whom a trusted proxy names."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from sqlalchemy import Connection

from worker.core.db import changes
from worker.core.db.changes import Author
from worker.web.queries import identity
from worker.web.queries.identity import UserRow
from worker.web.rules.identity import ROLES, Principal, rights_of
from worker.web.tokens import IdentityFaulty, digest

LINK_FOR = timedelta(minutes=15)
SESSION_FOR = timedelta(hours=12)
IDLE_FOR = timedelta(hours=2)
"""A session that was not used for so long has ended."""


@dataclass(frozen=True, kw_only=True)
class Started:
    """A session that has just begun."""

    secret: str
    """For the cookie."""
    user: UserRow


def add_user(tx: Connection, by: Author, *, name: str, roles: list[str]) -> UserRow:
    """Add a user; raises IdentityFaulty."""
    _check(roles)
    added = identity.add_user(tx, user_id=by.new_id(), name=name, roles=sorted(set(roles)), now=by.now)
    if added is None:
        raise IdentityFaulty(f"there is a user {name!r} already: change it with `darkroom user set`")
    changes.record(tx, by, f"user:{name}", "roles", before=None, after=", ".join(added.roles))
    return added


def set_user(
    tx: Connection, by: Author, *, name: str, roles: list[str] | None = None, is_disabled: bool | None = None
) -> UserRow:
    """Change the roles of a user, or whether it may act; its sessions end at once. Raises IdentityFaulty."""
    before = _found(tx, name)
    wanted = before.roles if roles is None else sorted(set(roles))
    _check(wanted)
    disabled_at = before.disabled_at
    if is_disabled is not None:
        disabled_at = (before.disabled_at or by.now) if is_disabled else None
    after = identity.set_user(tx, before.id, roles=wanted, disabled_at=disabled_at)
    identity.end_sessions(tx, before.id)
    subject = f"user:{name}"
    changes.record(tx, by, subject, "roles", before=", ".join(before.roles), after=", ".join(after.roles))
    changes.record(tx, by, subject, "disabled_at", before=before.disabled_at, after=after.disabled_at)
    return after


def new_link(tx: Connection, by: Author, name: str) -> str:
    """Return the path of a link that signs the user in once, within 15 minutes; raises IdentityFaulty."""
    user = _found(tx, name)
    if user.disabled_at is not None:
        raise IdentityFaulty(f"the user {name!r} is disabled: `darkroom user set {name} --enable`")
    secret = secrets.token_urlsafe(32)
    identity.add_link(tx, digest=digest(secret), user_id=user.id, now=by.now, expires_at=by.now + LINK_FOR)
    changes.record(tx, by, f"user:{name}", "sign_in_link", before=None, after=f"until {by.now + LINK_FOR}")
    return f"/sign-in/{quote(secret)}"


def ensure_local_user(tx: Connection, by: Author, name: str) -> UserRow:
    """Return the user for the person at this machine; made as an administrator while there is no other user.

    Whoever runs the command has the database already.
    """
    found = identity.find_user(tx, name)
    if found is not None:
        return found
    if identity.users(tx):
        raise IdentityFaulty(f"there is no user {name!r}: `darkroom user add {name} --role ROLE`")
    return add_user(tx, by, name=name, roles=["admin"])


def sign_in_by_link(tx: Connection, secret: str, *, by: Author, address: str) -> Started | None:
    """Use a link up and begin a session; None when the link is not known, used or too old."""
    user = identity.use_link(tx, digest(secret), now=by.now)
    return None if user is None else begin(tx, user, by=by, source="link", address=address)


def begin(tx: Connection, user: UserRow, *, by: Author, source: str, address: str) -> Started:
    """Begin a session for a user who has proved who it is."""
    secret = secrets.token_urlsafe(32)
    identity.add_session(
        tx, digest=digest(secret), user_id=user.id, source=source, now=by.now, expires_at=by.now + SESSION_FOR
    )
    signed = Author(actor=f"web:{user.name}", reason=by.reason, now=by.now, new_id=by.new_id)
    changes.record(tx, signed, f"user:{user.name}", "signed_in", before=None, after=f"{source} from {address}")
    return Started(secret=secret, user=user)


def principal_of_session(tx: Connection, secret: str, *, now: datetime) -> Principal | None:
    """Return who is signed in with this cookie."""
    found = identity.session(tx, digest(secret), now=now, idle_since=now - IDLE_FOR)
    return None if found is None else _principal(found.user, found.roles)


def principal_of_user(tx: Connection, name: str) -> Principal | None:
    """Return the identity of a user whom a trusted proxy has authenticated; None when it is unknown or disabled."""
    found = identity.find_user(tx, name)
    return None if found is None or found.disabled_at is not None else _principal(found.name, found.roles)


def end(tx: Connection, secret: str) -> None:
    """Sign out."""
    identity.end_session(tx, digest(secret))


def _principal(name: str, roles: list[str]) -> Principal:
    return Principal(name=name, actor=f"web:{name}", rights=rights_of(roles))


def _found(tx: Connection, name: str) -> UserRow:
    found = identity.find_user(tx, name)
    if found is None:
        raise IdentityFaulty(f"there is no user {name!r}: see `darkroom user list`")
    return found


def _check(roles: list[str]) -> None:
    if unknown := sorted(set(roles) - ROLES.keys()):
        raise IdentityFaulty(f"there is no role {unknown[0]!r}: the roles are {', '.join(ROLES)}")
    if not roles:
        raise IdentityFaulty(f"a user needs a role: {', '.join(ROLES)}")
