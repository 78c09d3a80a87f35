"""API tokens: made once, shown once, kept as a digest, and turned into an identity with each request."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from worker.core.db import changes
from worker.core.db.changes import Author
from worker.core.rules.batch_request import Priority
from worker.core.rules.errors import DarkroomError
from worker.web.queries import identity
from worker.web.queries.identity import TokenRow
from worker.web.rules.identity import Principal, Right, rights_of

PREFIX = "dkr_"
"""Secret scanners know a token by it."""
_SHOWN = 12


class IdentityFaulty(DarkroomError):
    """The user or token cannot be created or changed."""

    error_code = "identity_invalid"
    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class TokenRequest:
    """What a token is to be."""

    name: str
    user: str
    rights: frozenset[Right]
    owner: str | None
    max_priority: Priority | None = None
    credit_cap: int | None = None
    expires_at: datetime | None = None


def digest(secret: str) -> bytes:
    """Return what is kept of a secret; it is long and random, so that one round of SHA-256 suffices."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def create(tx: Connection, by: Author, wanted: TokenRequest) -> str:
    """Store a new token and return its secret, which is shown once; raises IdentityFaulty."""
    user = identity.find_user(tx, wanted.user)
    if user is None or user.disabled_at is not None:
        raise IdentityFaulty(f"there is no user {wanted.user!r} that may act: see `darkroom user list`")
    if too_many := wanted.rights - rights_of(user.roles):
        raise IdentityFaulty(f"{user.name} has no right to {', '.join(sorted(too_many))}: change its roles first")
    secret = PREFIX + secrets.token_urlsafe(32)
    is_new = identity.add_token(
        tx,
        id=by.new_id(),
        name=wanted.name,
        user_id=user.id,
        prefix=secret[:_SHOWN],
        digest=digest(secret),
        rights=sorted(wanted.rights),
        owner=wanted.owner,
        max_priority=wanted.max_priority,
        credit_cap=wanted.credit_cap,
        now=by.now,
        created_by=by.actor,
        expires_at=wanted.expires_at,
    )
    if not is_new:
        raise IdentityFaulty(f"there is a token {wanted.name!r} already: names of tokens are not used again")
    changes.record(tx, by, f"token:{wanted.name}", "created", before=None, after=_described(wanted))
    return secret


def revoke(tx: Connection, by: Author, name: str) -> None:
    """Make a token worthless at once; raises IdentityFaulty."""
    if not identity.revoke(tx, name, now=by.now):
        raise IdentityFaulty(f"there is no valid token {name!r}: see `darkroom token list`")
    changes.record(tx, by, f"token:{name}", "revoked", before=None, after=by.now.isoformat())


def principal_of(tx: Connection, secret: str, *, now: datetime) -> Principal | None:
    """Return whom the secret identifies; None when it is worth nothing."""
    row = identity.valid_token(tx, digest(secret), now=now) if secret.startswith(PREFIX) else None
    return None if row is None else _principal(row)


def _principal(row: TokenRow) -> Principal:
    return Principal(
        name=row.user,
        actor=f"token:{row.name}@{row.user}",
        rights=_known(row.rights) & rights_of(row.roles),
        owner=row.owner,
        max_priority=None if row.max_priority is None else Priority(row.max_priority),
        credit_cap=row.credit_cap,
    )


def _known(rights: Iterable[str]) -> frozenset[Right]:
    return frozenset(Right(each) for each in rights if each in set(Right))


def _described(wanted: TokenRequest) -> str:
    bounds = {
        "user": wanted.user,
        "owner": wanted.owner or "all owners",
        "rights": "+".join(sorted(wanted.rights)),
        "priority": wanted.max_priority,
        "cap": wanted.credit_cap,
        "expires": wanted.expires_at,
    }
    return ", ".join(f"{name} {value}" for name, value in bounds.items() if value is not None)
