"""Which provider, and which account there, an account works with; another key or provider is refused."""

import hashlib
import hmac
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from sqlalchemy import Connection

from worker.accounts.queries import account_limits
from worker.accounts.queries.account_limits import Bound
from worker.core.db import changes
from worker.core.db.changes import Author
from worker.core.db.session import Database
from worker.core.rules.errors import DarkroomError, ProviderError
from worker.provider.client import Client
from worker.storage.queries import references

log = structlog.get_logger(__name__)


class OtherProvider(DarkroomError):
    """The account has generations open at another provider; sending its work here could pay for it twice."""

    error_code = "other_provider"
    exit_code = 2

    def __init__(self, account: str, known: str, now: str, open_count: int) -> None:
        """Keep both providers and what is open."""
        super().__init__(account, known, now, open_count)
        self.account, self.known, self.now, self.open_count = account, known, now, open_count

    def __str__(self) -> str:
        """Return what disagrees and what may be done."""
        return (
            f"account {self.account!r} has {self.open_count} generations open at {self.known}, and RIVYA_BASE_URL is"
            f" {self.now}: restore the former one, or use another DARKROOM_DATABASE_URL or DARKROOM_ACCOUNT"
        )


class OtherKey(DarkroomError):
    """The account was used with another key, and nothing proves that both are of one account at the provider."""

    error_code = "other_key"
    exit_code = 2

    def __init__(self, account: str, open_count: int, reason: str) -> None:
        """Keep what is open, and why there is no proof."""
        super().__init__(account, open_count, reason)
        self.account, self.open_count, self.reason = account, open_count, reason

    def __str__(self) -> str:
        """Return what disagrees and what may be done."""
        return (
            f"account {self.account!r} has {self.open_count} generations open under another key, and {self.reason}:"
            " restore the former RIVYA_API_KEY, or use another DARKROOM_ACCOUNT; if both keys are of one account at"
            " the provider, say so with `darkroom account same-key`"
        )


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the settings say that the account's work is sent: an address, and a key for it."""

    base_url: str
    api_key: str
    new_mark: str
    """What is stored if this key is new."""


def bind(database: Database, client: Client, account_id: UUID, place: Place, by: Author, *, is_node: bool) -> int:
    """Leave the account bound to this place; gives the number of the binding.

    Raises OtherProvider or OtherKey when that could pay for something twice. A key that is proved to be of the same
    account at the provider keeps the binding; with nothing open any other begins a new one, but only for a node.
    """
    with database.transaction() as tx:
        seen = account_limits.read_binding(tx, account_id)
    _expect_same_provider(seen, place)
    doubt = _doubt_of_key(seen, place, client)
    with database.transaction() as tx:
        found = account_limits.lock_binding(tx, account_id)
        if (found.number, found.key_mark, found.base_url) == (seen.number, seen.key_mark, seen.base_url):
            return _bind(tx, account_id, found, place, by, doubt, is_node=is_node)
    # Another process has bound it since: what was seen then proves nothing now.
    return bind(database, client, account_id, place, by, is_node=is_node)


def same_key(database: Database, account_id: UUID, place: Place, by: Author) -> None:
    """Record a person's confirmation that this key belongs to the same provider account as the previous key."""
    with database.transaction() as tx:
        found = account_limits.lock_binding(tx, account_id)
        _expect_same_provider(found, place)
        _remember(tx, account_id, found, place, by)


def _bind(
    tx: Connection, account_id: UUID, found: Bound, place: Place, by: Author, doubt: str | None, *, is_node: bool
) -> int:
    _expect_same_provider(found, place)
    if doubt is not None and (found.open_count or not is_node):
        raise OtherKey(found.name, found.open_count, doubt)
    if not is_node:
        return found.number
    if found.base_url != place.base_url:
        references.forget_uploads(tx, account_id)
    is_other = doubt is not None or (_is_other(found, place) and not _are_both_local(found, place))
    number = account_limits.bind_anew(tx, account_id, now=by.now) if is_other else found.number
    if is_other:
        references.forget_uploads(tx, account_id)
        log.warning("account.bound_anew", account=str(account_id), binding=number, reason=doubt or "another address")
    _remember(tx, account_id, found, place, by)
    return number


def _remember(tx: Connection, account_id: UUID, found: Bound, place: Place, by: Author) -> None:
    is_known = found.key_mark is not None and is_marked(place.api_key, found.key_mark)
    mark = found.key_mark if is_known and found.key_mark else place.new_mark
    if (found.base_url, found.key_mark) == (place.base_url, mark):
        return
    account_limits.remember_binding(tx, account_id, base_url=place.base_url, key_mark=mark)
    if found.key_mark is not None:
        before, after = shown(found.key_mark), shown(mark)
        changes.record(tx, by, f"account:{found.name}", "key", before=before, after=after)


def _expect_same_provider(found: Bound, place: Place) -> None:
    """Refuse another provider while generations are open at the first, but for two sandboxes."""
    if found.base_url and found.open_count and _is_other(found, place) and not _are_both_local(found, place):
        raise OtherProvider(found.name, found.base_url, place.base_url, found.open_count)


def _doubt_of_key(found: Bound, place: Place, client: Client) -> str | None:
    """Return why the key may be another account's at the provider; None if it is known to be the same account's.

    The account behind a key is the boundary of what it sees (provider contract, section 1).
    """
    if found.key_mark is None or is_marked(place.api_key, found.key_mark):
        return None
    if found.probe_generation is None:
        return "no generation was accepted under it that this one could read"
    try:
        client.get(found.probe_generation)
    except ProviderError as error:
        return f"this one does not find the generation {found.probe_generation} ({error})"
    return None


def _is_other(found: Bound, place: Place) -> bool:
    return found.base_url is not None and found.base_url.rstrip("/") != place.base_url.rstrip("/")


def _are_both_local(found: Bound, place: Place) -> bool:
    return _is_local(found.base_url or "") and _is_local(place.base_url)


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}


_COST = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}
"""About 50 ms and 16 MB a try (scrypt, RFC 7914): it happens once per start of a process."""


def mark(key: str, salt: bytes) -> str:
    """Return what may be stored of a key: the salt, and a hash that the key cannot be found from."""
    return f"{salt.hex()}${_hashed(key, salt)}"


def is_marked(key: str, known: str) -> bool:
    """Return whether ``known`` is the fingerprint of this key."""
    salt, _, hashed = known.partition("$")
    return hmac.compare_digest(_hashed(key, bytes.fromhex(salt)), hashed)


def shown(known: str | None) -> str | None:
    """Return the short form of a key fingerprint, for people."""
    return None if known is None else f"mark {known.partition('$')[2][:12]}"


def _hashed(key: str, salt: bytes) -> str:
    return hashlib.scrypt(key.encode(), salt=salt, **_COST).hex()
