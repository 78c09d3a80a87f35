"""The Python ingestion API: a batch of requests, written inside the caller's own transaction."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from worker import settings, wiring
from worker.accounts.queries import accounts
from worker.core.db.clock import DatabaseClock, TimeOrderedIds
from worker.core.rules.batch_request import BatchRequest, validate_batch
from worker.intake.manifest import numbered
from worker.intake.prepare import Prepared, prepare
from worker.intake.reference_store import ReferenceStore
from worker.intake.write import Receipt, RequestsRefused, TokenTaken, write
from worker.storage import store_binding
from worker.storage.fetch.budget import FetchBudget
from worker.storage.store import Store

__all__ = ["Receipt", "RequestsRefused", "TokenTaken", "enqueue", "prepare_requests"]


def enqueue(
    session: Session | Connection,
    batch: BatchRequest | Mapping[str, object],
    requests: Iterable[object] | Prepared,
    *,
    base: Path | None = None,
    store: Store | None = None,
) -> Receipt:
    """Write a batch of jobs with the caller's other rows; they begin when the caller commits.

    ``batch`` has ``name``, ``owner``, ``token``, ``purpose``, ``priority``, ``credit_cap``, ``deadline``,
    ``size_policy``, ``account`` or ``pool``, ``allow_extra``; each request has the columns of a manifest. The same
    token with the same requests changes nothing and gives the same batch.

    References are fetched, checked and stored before anything is written. To keep that out of a transaction, call
    ``prepare_requests`` first and pass what it gives. Paths are permitted when ``base`` says what they are relative
    to; ``store`` is the one of the settings when it is not given.

    Raises RequestsRefused with every fault of every line (nothing is written then), TokenTaken when the token
    belongs to a batch with other requests, and StoreUnavailable when references cannot be put into the nodes' store.
    """
    tx = session.connection() if isinstance(session, Session) else session
    if store is None and not isinstance(requests, Prepared):
        chosen = settings.load()
        store = wiring.store(chosen)
        store_binding.expect_known(store, tx, chosen.account)
    wanted = batch if isinstance(batch, BatchRequest) else validate_batch(batch)
    if isinstance(requests, Prepared):
        prepared = requests
    else:
        extra = wanted.allow_extra if isinstance(wanted, BatchRequest) else frozenset[str]()
        prepared = prepare_requests(requests, base=base, store=store, allow_extra=extra)
    faults = (*(wanted if isinstance(wanted, tuple) else ()), *prepared.faults)
    if faults or isinstance(wanted, tuple):
        raise RequestsRefused(faults)
    clock = DatabaseClock()
    clock.read(tx, times=1)
    now, new_id = clock(), TimeOrderedIds(clock.now_s)
    chosen = settings.load()
    account_id = accounts.ensure(tx, account_id=new_id(), name=chosen.account, now=now)
    above = chosen.approve_above
    return write(tx, wanted, prepared, account_id=account_id, now=now, new_id=new_id, approve_above=above)


def prepare_requests(
    requests: Iterable[object],
    *,
    base: Path | None = None,
    store: Store | None = None,
    allow_extra: Collection[str] = frozenset(),
    budget: FetchBudget | None = None,
) -> Prepared:
    """Check requests and store their references, with no transaction open.

    Columns in ``allow_extra`` are kept although they look like a misspelt column or a parameter. ``budget`` bounds what
    fetching all references from their addresses may take.
    """
    reference_store = ReferenceStore(store or wiring.store(settings.load()), budget=budget)
    return prepare(numbered(requests), base=base, reference_store=reference_store, extra=allow_extra)
