"""A prepared batch written: the batch, its references, its jobs, all in the caller's transaction."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import structlog
from psycopg import Cursor
from sqlalchemy import Connection

from worker.accounts import choosing
from worker.accounts.choosing import NoAccount, Payers
from worker.core import tracing
from worker.core.db import session
from worker.core.db.changes import Author
from worker.core.rules.batch_request import BatchRequest, falls_at
from worker.core.rules.errors import DarkroomError
from worker.core.rules.fault import Fault, UnfitError
from worker.core.rules.models_catalogue import MODELS
from worker.core.rules.states import BatchState
from worker.engine.queries import batches
from worker.engine.queries.batches import BatchRow
from worker.intake import request_spool
from worker.intake.prepare import Prepared, Referring
from worker.ledger import second_person
from worker.storage.queries import references, stores
from worker.storage.queries.references import ReferenceFacts
from worker.storage.queries.stores import StoreRow
from worker.storage.store import StoreUnavailable

log = structlog.get_logger(__name__)


class RequestsRefused(DarkroomError):
    """Some requests cannot be accepted; nothing was written and nothing is held."""

    error_code = "requests_invalid"

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        """Keep every fault."""
        super().__init__(faults)
        self.faults = faults

    def __str__(self) -> str:
        """List the faults, one on a line."""
        return "\n".join(str(fault) for fault in self.faults)


class TokenTaken(DarkroomError):
    """The token belongs to a batch with other content."""

    error_code = "token_taken"

    def __init__(self, token: str, batch_id: UUID) -> None:
        """Keep the token and whose it is."""
        super().__init__(token, batch_id)
        self.token = token
        self.batch_id = batch_id

    def __str__(self) -> str:
        """Return the message, with what to do."""
        return (
            f"token {self.token!r} belongs to batch {self.batch_id}, which has other requests:"
            " submit these under another token"
        )


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """The receipt of a submission; ``is_new`` is False when the token had been used before."""

    batch_id: UUID
    token: str
    state: BatchState
    jobs: int
    credits: int
    is_new: bool
    faults: Collection[Fault]
    kept: tuple[str, ...] = ()
    """Columns that no line uses: kept, and handed back in the results."""


def write(
    tx: Connection,
    request: BatchRequest,
    prepared: Prepared,
    *,
    account_id: UUID,
    now: datetime,
    new_id: Callable[[], UUID],
    by: str | None = None,
    approve_above: int | None,
    fields_hash: str | None = None,
    follows_owner: bool = True,
) -> Receipt:
    """Write the batch; under a token that was used before, change nothing and give the batch that has it.

    ``account_id`` is the account where neither the batch nor its owner has another; the owner's does not count unless
    ``follows_owner``.

    A batch of more than ``approve_above`` credits is paused until another person than ``by`` (else its owner) resumes
    it. ``fields_hash`` is kept where a replay has to have the same fields of the batch, too. Lines with faults are kept
    beside the batch. Raises TokenTaken when the token's batch has other content, RequestsRefused when the account or a
    stored reference is not known, or the deadline of a new batch has passed, and StoreUnavailable when the references
    lie in another store than the account's.
    """
    payers = _payers(tx, request, prepared.jobs, default=account_id, follows_owner=follows_owner)
    account_id = payers.account_id
    request = replace(request, traceparent=request.traceparent or tracing.traceparent())
    _expect_right_store(tx, prepared, payers)
    _write_references(tx, prepared, now)
    batch_id = new_id()
    token = request.token or str(batch_id)
    earlier = None if request.token is None else batches.by_token(tx, token)
    if earlier is None or earlier.state is BatchState.REFUSED:
        _expect_time(request, now)
    if earlier is not None and earlier.state is BatchState.REFUSED:
        # The refused batch was corrected: its token now names the new batch, and the old one keeps its faults.
        batches.rename_token(tx, earlier.id, _other_token(token, earlier.content_hash))
    is_dear = second_person.is_dear(prepared.credits, approve_above)
    state = BatchState.PAUSED if is_dear else BatchState.OPEN
    is_new = batches.insert(
        tx,
        request,
        batch_id=batch_id,
        account_id=account_id,
        token=token,
        content_hash=prepared.spool.content_hash,
        size=prepared.jobs,
        state=state,
        now=now,
        models=prepared.models,
        fields_hash=fields_hash,
        pool=payers.pool,
    )
    if not is_new:
        return _earlier(tx, token, prepared)
    if payers.accounts:
        batches.spread(tx, batch_id, [each.account_id for each in payers.accounts])
    tracing.note({"darkroom.batch.id": str(batch_id), "darkroom.account.id": str(account_id)})
    _copy_jobs(tx, prepared, batch_id, now, new_id)
    batches.insert_faults(tx, _with_ids(prepared.faults, new_id), batch_id=batch_id)
    if is_dear:
        author = Author(actor=by or f"owner:{request.owner}", reason=None, now=now, new_id=new_id)
        second_person.ask_for_batch(tx, author, batch=f"batch:{batch_id}", credits_=prepared.credits)
    session.notify(tx)
    return Receipt(
        batch_id=batch_id,
        token=token,
        state=state,
        jobs=prepared.jobs,
        credits=prepared.credits,
        is_new=True,
        faults=prepared.faults or (),
        kept=prepared.kept,
    )


def _payers(tx: Connection, request: BatchRequest, jobs: int, *, default: UUID, follows_owner: bool) -> Payers:
    try:
        return choosing.payers_of(tx, request, jobs=jobs, default=default, follows_owner=follows_owner)
    except NoAccount as error:
        fault = Fault(line=0, field=error.kind, reason=str(error), permitted=error.known)
        raise RequestsRefused((fault,)) from None


def _expect_right_store(tx: Connection, prepared: Prepared, payers: Payers) -> None:
    known = stores.read(tx, payers.account_id).identity
    if payers.accounts:
        known = _one_store(payers.pool, [stores.read(tx, each.account_id) for each in payers.accounts])
    if prepared.store is not None and known not in {None, prepared.store}:
        raise StoreUnavailable(
            str(prepared.store),
            f"the references were put into it, and the account's images lie in the store {known}:"
            " give this process the DARKROOM_STORE of the nodes",
        )


def _one_store(pool: str | None, accounts: Sequence[StoreRow]) -> UUID | None:
    """Return the store of all accounts of a pool; None: none has been used yet. Raises RequestsRefused."""
    used = [each for each in accounts if each.identity is not None]
    if len({each.identity for each in used}) > 1:
        listed = ", ".join(f"{each.account} in {each.identity}" for each in used)
        reason = f"the accounts of the pool {pool!r} keep their images in different stores: {listed}; name one account"
        raise RequestsRefused((Fault(line=0, field="pool", reason=reason),))
    return used[0].identity if used else None


def tell(receipt: Receipt) -> None:
    """Log the outcome of a submission after its commit."""
    log.info(
        "batch.enqueued",
        batch=str(receipt.batch_id),
        token=receipt.token,
        state=receipt.state,
        jobs=receipt.jobs,
        is_new=receipt.is_new,
        kept_not_used=list(receipt.kept),
    )


def write_refused(
    tx: Connection,
    request: BatchRequest,
    faults: tuple[Fault, ...],
    *,
    account_id: UUID,
    now: datetime,
    new_id: Callable[[], UUID],
) -> Receipt:
    """Record a batch that was not accepted, so that its producer can look it up by its token.

    If the token means something else already, it is recorded under the token with a hash of its faults behind it.
    """
    batch_id = new_id()
    token = request.token or str(batch_id)
    digest = hashlib.sha256("\n".join(str(fault) for fault in faults).encode()).hexdigest()
    for name in (token, _other_token(token, digest)):
        is_new = batches.insert(
            tx,
            request,
            batch_id=batch_id,
            account_id=account_id,
            token=name,
            content_hash=digest,
            size=0,
            state=BatchState.REFUSED,
            now=now,
        )
        if is_new:
            batches.insert_faults(tx, _with_ids(faults, new_id), batch_id=batch_id)
        row = _taken(tx, name)
        if row.state is BatchState.REFUSED and row.content_hash == digest:
            break
    return _receipt(row, faults=faults, is_new=is_new)


def _other_token(token: str, digest: str) -> str:
    """Return a name for what cannot have the token itself."""
    return f"{token[:130]}#{digest}"


def _earlier(tx: Connection, token: str, prepared: Prepared) -> Receipt:
    """Return the batch that has the token already, if it is this one."""
    earlier = _taken(tx, token)
    if earlier.content_hash != prepared.spool.content_hash:
        raise TokenTaken(token, earlier.id)
    faults = tuple(batches.faults(tx, earlier.id))
    return _receipt(earlier, credits_=prepared.credits, faults=faults, kept=prepared.kept)


def _taken(tx: Connection, token: str) -> BatchRow:
    earlier = batches.by_token(tx, token)
    if earlier is None:
        raise LookupError(token)
    return earlier


def _receipt(
    row: BatchRow,
    *,
    credits_: int = 0,
    faults: Collection[Fault] = (),
    is_new: bool = False,
    kept: tuple[str, ...] = (),
) -> Receipt:
    return Receipt(
        batch_id=row.id,
        token=row.token,
        state=row.state,
        jobs=row.size,
        credits=credits_,
        is_new=is_new,
        faults=faults,
        kept=kept,
    )


def _write_references(tx: Connection, prepared: Prepared, now: datetime) -> None:
    references.add(tx, prepared.references.values(), now=now)
    found = references.find(tx, prepared.referring)
    faults = [fault for sha256, how in prepared.referring.items() if (fault := _unusable(sha256, how, found))]
    if faults:
        raise RequestsRefused(tuple(sorted(faults, key=lambda fault: (fault.line, fault.reason))))


def _unusable(sha256: str, how: Referring, found: Mapping[str, ReferenceFacts]) -> Fault | None:
    """Return what is wrong with a reference: it is not stored, or the model of a job that names it takes none such."""
    if sha256 not in found:
        return Fault(line=how.line, field="reference", reason=f"no reference sha256:{sha256} is stored")
    try:
        found[sha256].check_fits(MODELS[how.strictest.model])
    except UnfitError as unfit:
        request = how.strictest
        return Fault(line=request.line, key=request.key, field="reference", reason=unfit.reason)
    return None


def _expect_time(request: BatchRequest, now: datetime) -> None:
    if request.deadline is not None and falls_at(request.deadline, now=now) <= now:
        raise RequestsRefused((Fault(line=0, field="deadline", reason="has passed already"),))


def _copy_jobs(tx: Connection, prepared: Prepared, batch_id: UUID, now: datetime, new_id: Callable[[], UUID]) -> None:
    """Write all jobs with one COPY."""
    driver = tx.connection.driver_connection
    if driver is None:
        raise RuntimeError("the connection is closed")
    cursor: Cursor[tuple[object, ...]]
    named = {"db.system.name": "postgresql", "db.query.summary": "COPY job"}
    with (
        tracing.inside("COPY job", named, kind="client"),
        driver.cursor() as cursor,
        cursor.copy(request_spool.COPY) as copy,
    ):
        for piece in request_spool.completed(prepared.spool, batch_id=batch_id, now=now, new_id=new_id):
            copy.write(piece)


def _with_ids(faults: Iterable[Fault], new_id: Callable[[], UUID]) -> Iterator[tuple[UUID, Fault]]:
    return ((new_id(), fault) for fault in faults)
