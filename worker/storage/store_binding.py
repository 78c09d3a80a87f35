"""Which store belongs to an account: the one whose identity the database knows, and no other.

An account without one takes the store that it finds. When the database knows of images or references, one of them at
least must be there: an empty folder in their place is taken for a share that is not mounted.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from uuid import UUID

import structlog
from sqlalchemy import Connection

from worker.core.db import changes
from worker.core.db.changes import Author
from worker.storage.queries import stores
from worker.storage.queries.stores import StoreRow
from worker.storage.store import Store, StoreUnavailable, WrongStore

log = structlog.get_logger(__name__)

Transaction = Callable[[], AbstractContextManager[Connection]]

LOOKED_FOR = 10
"""So many images, and as many references, that the database knows are looked for before a store is adopted."""

ADOPT = "`darkroom store adopt --yes` adopts the store that is there now"


def bind(store: Store, transaction: Transaction, account_id: UUID) -> None:
    """Have each use of the store compare its identity with the one that the database knows.

    A store that is first used for an account is adopted.
    """

    def expect(place: Store, found: UUID | None) -> UUID:
        with transaction() as tx:
            known = stores.read(tx, account_id)
            files = [] if known.identity else stores.known_files(tx, account_id, limit=LOOKED_FOR)
        if known.identity is None:
            return _first(place, transaction, known, files)
        if found != known.identity:
            raise _other(place, known.identity, found)
        return found

    store.bind(expect)


def expect_known(store: Store, tx: Connection, account: str) -> None:
    """Have a producer's uses of the store compare its identity with the one that the database knows by now.

    The account's row is left as it is: a producer's transaction may be long.
    """
    known = stores.of_account(tx, account)
    if known is None or known.identity is None:
        return
    identity = known.identity

    def expect(place: Store, found: UUID | None) -> UUID:
        if found != identity:
            raise _other(place, identity, found)
        return identity

    store.bind(expect)


def adopt(store: Store, transaction: Transaction, known: StoreRow, by: Author) -> UUID:
    """Bind the store at this location to the account, on a person's order, which is recorded."""
    identity = store.initialise()
    with transaction() as tx:
        if not stores.adopt(tx, known.account_id, identity, before=known.identity, place=store.place):
            raise StoreUnavailable(store.place, "another process has just adopted a store: try again")
        changes.record(tx, by, f"account:{known.account}", "store", before=known.identity, after=identity)
    return identity


def _first(store: Store, transaction: Transaction, known: StoreRow, files: list[str]) -> UUID:
    if files and not any(map(store.holds, files)):
        raise WrongStore(
            store.place,
            f"it has none of the {len(files)} images and references that were looked for and that account"
            f" {known.account!r} has stored: mount or restore it; {ADOPT}",
        )
    identity = store.initialise()
    with transaction() as tx:
        if stores.adopt(tx, known.account_id, identity, before=None, place=store.place):
            log.info("store.adopted", account=str(known.account_id), store=store.place, identity=str(identity))
            return identity
    with transaction() as tx:
        winner = stores.read(tx, known.account_id).identity
    if winner != identity:
        raise _other(store, winner, identity)
    return identity


def _other(store: Store, expected: UUID | None, found: UUID | None) -> WrongStore:
    what = "it carries no identity (.darkroom-store)" if found is None else f"its identity is {found}"
    return WrongStore(store.place, f"{what}, and {expected} is expected: mount or restore that one; {ADOPT}")
