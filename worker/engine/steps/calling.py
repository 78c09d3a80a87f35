"""Outside calls of one step: each is made once, within the rate limit, timed, and recorded with its outcome."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from worker.accounts.queries import accounts
from worker.accounts.rules import learned_rate, pace
from worker.accounts.rules.learned_rate import StatedLimit
from worker.accounts.rules.pace import Pace
from worker.core.db import statements
from worker.core.db.statements import Row
from worker.core.rules.errors import STORE_UNAVAILABLE, ProviderError, Throttled, first_line
from worker.engine.queries import calls
from worker.engine.rules.call import Call, CallKind, CallOutcome, failed
from worker.engine.services import Services
from worker.provider.wire import GenerationView, ModelView, UploadedFile
from worker.storage.fetch.addresses import is_same_origin
from worker.storage.fetch.download import Fetched, FetchFailed, FetchLimits, fetch

T = TypeVar("T")
_WRITES = frozenset({CallKind.CREATE, CallKind.UPLOAD})
_TURNED_AWAY = frozenset({HTTPStatus.UNAUTHORIZED.value, HTTPStatus.FORBIDDEN.value})


class Calls:
    """Makes calls for one paid attempt and keeps them until they are written; for one step.

    The thread that calls hands it on to the one that writes.
    """

    def __init__(self, services: Services, generation_id: UUID | None) -> None:
        """Begin with none; ``generation_id`` None: the calls are about the wallet or the models."""
        self._services = services
        self._generation_id = generation_id
        self._made: list[Call] = []

    def create(self, *, body: bytes, idempotency_key: str, send: int) -> GenerationView:
        """Send the paid request; ``send`` says which copy of it this is."""
        client = self._services.client
        return self._ask(
            CallKind.CREATE, lambda: client.create(body=body, idempotency_key=idempotency_key), _of_create, send=send
        )

    def get(self, provider_id: str) -> GenerationView:
        """Fetch the present state of a generation."""
        return self._ask(CallKind.GET, lambda: self._services.client.get(provider_id), _of_generation)

    def upload(self, content: bytes, *, name: str, mime_type: str, model: str) -> UploadedFile:
        """Upload an image to the provider."""
        client, trace = self._services.client, str(self._generation_id)
        return self._ask(
            CallKind.UPLOAD,
            lambda: client.upload(
                content=content, name=name, mime_type=mime_type, model=model, client_request_id=trace
            ),
            _of_upload,
            size_bytes=len(content),
        )

    def download(self, url: str, into: Path, limits: FetchLimits) -> Fetched:
        """Fetch an image into a file; where the provider itself turns us away, once more with its key."""
        try:
            return self._download(url, into, limits)
        except FetchFailed as error:
            client = self._services.client
            is_at_home = is_same_origin(url, client.base_url) and is_same_origin(error.url, client.base_url)
            if error.status not in _TURNED_AWAY or not is_at_home:
                raise
            # The provider does not document whether its results' addresses want the key (contract, section 3).
            return self._download(url, into, limits, credential=client.credential)

    def _download(
        self, url: str, into: Path, limits: FetchLimits, credential: Callable[[], str] | None = None
    ) -> Fetched:
        call = self._begun(CallKind.DOWNLOAD)
        chosen = self._services.policies
        try:
            fetched = fetch(
                url,
                into,
                limits=limits,
                allow=chosen.result_addresses,
                credential=credential,
                proxy_for=chosen.result_proxy,
            )
        except FetchFailed as error:
            outcome, code = CallOutcome.UNAVAILABLE, f"result_{error.kind}"
            self._end(call, outcome=outcome, code=code, message=str(error), http_status=error.status)
            raise
        except OSError as error:
            # The network's errors are FetchFailed: this is the local disk's.
            self._end(call, outcome=CallOutcome.UNAVAILABLE, code=STORE_UNAVAILABLE, message=str(error))
            raise
        # A whole file is only ever taken from an answer with this status.
        self._end(call, size_bytes=fetched.size_bytes, http_status=HTTPStatus.OK.value)
        return fetched

    def credits(self) -> int:
        """Read the balance of the wallet."""
        return self._ask(CallKind.CREDITS, self._services.client.credits, lambda call, _: call)

    def models(self) -> tuple[ModelView, ...]:
        """Read the provider's list of models."""
        return self._ask(CallKind.MODELS, self._services.client.models, lambda call, _: call)

    def rows(self) -> list[Row]:
        """Return what was called so far, to be written down in the transaction that records the outcome."""
        account_id = self._services.account_id
        return [calls.adding(call, account_id=account_id, generation_id=self._generation_id) for call in self._made]

    def write(self, tx: Connection) -> None:
        """Write down what was called; in the transaction that records the outcome."""
        statements.run(tx, {calls.ADD: self.rows()})

    def write_late(self) -> None:
        """Store, in a separate transaction, calls whose outcome can no longer be applied."""
        self._made = [replace(call, is_late=True) for call in self._made]
        with self._services.database.transaction() as tx:
            self.write(tx)

    def _ask(
        self,
        kind: CallKind,
        ask: Callable[[], T],
        described: Callable[[Call, T], Call],
        *,
        send: int | None = None,
        size_bytes: int | None = None,
    ) -> T:
        call = replace(self._begun(kind), send=send, size_bytes=size_bytes)
        try:
            answer = ask()
        except ProviderError as error:
            if isinstance(error, Throttled):
                error.sent_at, error.is_write = call.started_at, kind in _WRITES
            self._keep(failed(replace(call, ended_at=self._services.clock()), error))
            raise
        self._keep(described(replace(call, ended_at=self._services.clock()), answer))
        return answer

    def _begun(self, kind: CallKind) -> Call:
        return Call(kind=kind, started_at=self._services.clock(), ended_at=None, outcome=CallOutcome.OK)

    def _end(self, call: Call, **changes: object) -> None:
        self._keep(replace(call, ended_at=self._services.clock(), **changes))  # type: ignore[arg-type]

    def _keep(self, call: Call) -> None:
        self._made.append(call)
        self._services.meters.called(call)


def _of_generation(call: Call, view: GenerationView) -> Call:
    return replace(call, http_status=view.http_status, code=view.status.value, request_id=view.request_id)


def _of_create(call: Call, view: GenerationView) -> Call:
    return replace(_of_generation(call, view), provider_id=view.id)


def _of_upload(call: Call, file: UploadedFile) -> Call:
    return replace(call, http_status=file.http_status, request_id=file.request_id, provider_id=file.id)


log = structlog.get_logger(__name__)
_LOGGED = timedelta(milliseconds=100)
"""So long after its answer a call is surely in the log, unless the database is slow."""


def acquire_permit(services: Services, *, is_paused_too: bool = False) -> datetime | None:
    """Wait for a slot for a read, and give the instant; None while the key may not be used.

    A pause that does not permit reading closes it, unless ``is_paused_too``.
    """
    now = services.clock()
    with services.database.transaction() as tx:
        account = accounts.lock(tx, services.account_id)
        slot = pace.next_slot(account.read_pace or account.pace, now=now)
        is_readable = is_paused_too or account.pause_reason is None or account.pause_reason.permits_reading
        if slot is None or not is_readable:
            return None
        save = accounts.save_pace if account.read_pace is None else accounts.save_read_pace
        save(tx, services.account_id, slot.pace)
    services.pause(min(max((slot.slots[0] - now).total_seconds(), 0.0), 1.0))
    return services.clock()


def close_key(services: Services, error: Throttled) -> timedelta:
    """Close the key for every worker until the provider's time; gives the wait until then."""
    now = services.clock()
    # A refusal is the proof that there is a limit: what answers say of it counts again.
    services.limit_words.last = StatedLimit()
    with services.database.transaction() as tx:
        before = accounts.lock(tx, services.account_id).pace
        is_again = _is_again(tx, services, before, error, now)
        since = learned_rate.counted_since(before, now=now, is_again=is_again, retry_after=error.retry_after)
        answered = calls.answered(tx, services.account_id, since=since - _LOGGED, until=now - _LOGGED)
        after = learned_rate.throttled(
            before,
            now=now,
            retry_after=error.retry_after,
            answered=answered,
            sent_at=error.sent_at,
            is_again=is_again,
        )
        accounts.save_pace(tx, services.account_id, after)
    log.warning("account.throttled", account=str(services.account_id), until=after.blocked_until, rate=after.rate)
    assert after.blocked_until is not None
    return max(after.blocked_until - now, timedelta(0))


def _is_again(tx: Connection, services: Services, before: Pace, error: Throttled, now: datetime) -> bool:
    """Return whether nothing like the refused request was answered since the key was opened."""
    if before.blocked_until is None or now < before.blocked_until or pace.is_run_over(before, now=now):
        return False
    return not calls.answered(
        tx, services.account_id, since=before.blocked_until, until=now, are_reads_apart=error.is_write
    )


def heed_limit(services: Services, resets_in: timedelta | None, *, sent_at: datetime) -> None:
    """Close the key where an accepted create's answer says that no request remains, unless that is disproved.

    ``resets_in`` None: the answer says nothing of the kind.
    """
    now, words = services.clock(), services.limit_words
    before = words.last
    words.last = learned_rate.note_accepted(before, sent_at=sent_at, now=now)
    if words.last is not before:
        log.warning("account.limit_disproved", account=str(services.account_id), said_at=before.said_at)
    if resets_in is None:
        return
    words.last, wait = learned_rate.note_stated(words.last, wait=resets_in, now=now)
    if wait is not None:
        _hold_key(services, wait)


def _hold_key(services: Services, wait: timedelta) -> None:
    """Close the key for every worker before a 429 comes.

    Without the database nothing is closed, and the provider answers with a 429.
    """
    now = services.clock()
    try:
        with services.database.transaction() as tx:
            before = accounts.lock(tx, services.account_id).pace
            after = pace.held(before, now=now, wait=wait)
            accounts.save_pace(tx, services.account_id, after)
    except DBAPIError as error:
        log.warning("account.not_held", error=first_line(error.orig))
        return
    log.info("account.limit_used_up", account=str(services.account_id), until=after.blocked_until)
