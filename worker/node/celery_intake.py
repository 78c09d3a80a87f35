"""Messages of producers that only speak Celery: each becomes a batch or a refused batch, and none is lost."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from worker.core import tracing
from worker.core.rules.batch_request import BatchRequest, validate_batch
from worker.core.rules.errors import first_line
from worker.core.rules.fault import Fault
from worker.engine.services import Services
from worker.enqueue import prepare_requests
from worker.intake.prepare import Prepared
from worker.intake.queries import messages
from worker.intake.queries.messages import ClaimLost
from worker.intake.rules.delivery import Call, Delivery, Unreadable, call, check_task
from worker.intake.write import Receipt, RequestsRefused, TokenTaken, tell, write, write_refused
from worker.storage.fetch.budget import FetchBudget, FetchNeeded
from worker.storage.store import StoreUnavailable

log = structlog.get_logger(__name__)

_NEVER_STORED = (DataError, IntegrityError, psycopg.DataError, psycopg.IntegrityError)
"""What the database says of values that it will not take the next time either."""

PASSING = (SQLAlchemyError, psycopg.Error, StoreUnavailable)
"""What is no fault of a message: the database or the store is away."""

_TOKEN_MAX = 200
_REASON_MAX = 500
_LOGGED_BYTES = 200

Loads = Callable[[str], object]
"""Reads JSON; kombu's own knows its notation for instants and the like, too."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How a message is taken."""

    budget: FetchBudget | None = None
    """What fetching its references may take; None: each has its own bounds only."""
    finish: Callable[[Connection], None] = lambda _tx: None
    """Called last in the transaction that writes the outcome; what it raises undoes it."""
    traceparent: str | None = None
    """The producer's span, where the message names it beside the batch."""


_PLAIN = Terms()


def take_or_refuse(services: Services, delivery: Delivery, loads: Loads, terms: Terms) -> None:
    """Write the batch; what cannot be written for what is in it, or for a fault of ours, is a refused batch.

    Raises FetchNeeded and ClaimLost, and one of ``PASSING`` when it has to be tried again.
    """
    try:
        take_delivery(services, delivery, loads, terms)
    except (FetchNeeded, ClaimLost):
        raise
    except _NEVER_STORED as error:
        log.exception("batch.not_storable", message=delivery.name)
        reason = f"is invalid: {first_line(error)}"
        refuse_delivery(services, delivery, loads, reason=reason, terms=terms)
    except PASSING:
        raise
    except Exception as error:
        log.exception("batch.not_understood", message=delivery.name)
        reason = f"is invalid: {type(error).__name__}: {error}"
        refuse_delivery(services, delivery, loads, reason=reason, terms=terms)


def take_delivery(services: Services, delivery: Delivery, loads: Loads, terms: Terms) -> Receipt:
    """Take a message as it was delivered; ``loads`` reads the JSON of its body.

    Raises what the budget of the terms does, and the errors of the database and the store.
    """
    try:
        asked = _asked(delivery, loads)
    except Unreadable as error:
        return refuse_delivery(services, delivery, loads, reason=error.reason, terms=terms)
    return take_call(services, delivery.name, asked.args, asked.kwargs, terms)


def _asked(delivery: Delivery, loads: Loads) -> Call:
    check_task(delivery)
    if delivery.eta is not None:
        raise Unreadable("has an eta or a countdown: a batch is accepted when it arrives, so send it when it is due")
    if delivery.expires is not None:
        raise Unreadable("has expires: a batch never expires silently, so give it a deadline instead")
    return call(delivery, loads)


def take_call(
    services: Services,
    message_id: str,
    arguments: tuple[object, ...],
    named: Mapping[str, object],
    terms: Terms = _PLAIN,
) -> Receipt:
    """Take a message as Celery calls it: ``batch`` and ``requests``, in this order or by name, and nothing else."""
    by_place = _by_place(arguments)
    surplus = {f"argument {n}": value for n, value in enumerate(arguments[2:], start=3)}
    twice = {f"{name}, given twice": None for name in by_place if name in named}
    values = {**named, **by_place}
    extra = {name: value for name, value in values.items() if name not in {"batch", "requests"}}
    asked = values.get("batch"), values.get("requests")
    return take(services, message_id, *asked, {**extra, **surplus, **twice}, terms)


def refuse_delivery(
    services: Services, delivery: Delivery, loads: Loads, *, reason: str, terms: Terms = _PLAIN
) -> Receipt:
    """Record a message that was no use as a refused batch, with its first bytes.

    It is known by the producer's token where that can be read, else by its own id, else by the hash of its bytes.
    """
    token, fault = _token(_batch_in(delivery, loads), delivery.name), _message_fault(reason)
    with services.database.transaction() as tx:
        receipt = write_refused(
            tx,
            BatchRequest(token=token),
            (fault,),
            account_id=services.account_id,
            now=services.clock(),
            new_id=services.new_id,
        )
        messages.keep_refused(tx, receipt.batch_id, delivery, now=services.clock())
        terms.finish(tx)
    log.warning("batch.refused", batch=str(receipt.batch_id), token=receipt.token, reason=fault.reason)
    return receipt


def _message_fault(reason: str) -> Fault:
    return Fault(line=0, field="message", reason=_visible(reason)[:_REASON_MAX])


def _batch_in(delivery: Delivery, loads: Loads) -> object:
    try:
        asked = call(delivery, loads)
    except Unreadable:
        return None
    return {**asked.kwargs, **_by_place(asked.args)}.get("batch")


def drop(services: Services, delivery: Delivery, reason: str) -> None:
    """Log and count a message that belongs to no batch."""
    log.warning(
        "message.dropped",
        queue=delivery.queue,
        reason=reason,
        message=delivery.name,
        size_bytes=delivery.size_bytes,
        raw=repr(delivery.body[:_LOGGED_BYTES]),
    )
    with services.database.transaction() as tx:
        messages.count_dropped(tx, delivery, _visible(reason)[:_REASON_MAX], now=services.clock())


def _by_place(arguments: tuple[object, ...]) -> dict[str, object]:
    return dict(zip(("batch", "requests"), arguments, strict=False))


def take(
    services: Services,
    message_id: str,
    batch: object,
    requests: object,
    extra: Mapping[str, Any],
    terms: Terms = _PLAIN,
) -> Receipt:
    """Write the batch that the message asks for; with any fault, a refused batch under the same token.

    A message without a usable token is known by its own id, so that its redelivery changes nothing.
    """
    token = _token(batch, message_id)
    wanted, faults = _batch(batch, token, extra)
    wanted = replace(wanted, traceparent=wanted.traceparent or terms.traceparent)
    if wanted.traceparent != terms.traceparent:
        tracing.note({}, link=wanted.traceparent)
    prepared = prepare_requests(
        requests if isinstance(requests, list) else [],
        store=services.store,
        allow_extra=wanted.allow_extra,
        budget=terms.budget,
    )
    if not isinstance(requests, list):
        faults = (*faults, Fault(line=0, field="requests", reason="must be a list of objects"))
    else:
        faults = (*faults, *prepared.faults)
    receipt = _refuse(services, wanted, faults, terms) if faults else _accept(services, wanted, prepared, terms)
    tell(receipt)
    return receipt


def _accept(services: Services, wanted: BatchRequest, prepared: Prepared, terms: Terms) -> Receipt:
    try:
        with services.database.bulk_transaction() as tx:
            receipt = write(
                tx,
                wanted,
                prepared,
                account_id=services.account_id,
                now=services.clock(),
                new_id=services.new_id,
                approve_above=services.policies.approve_above,
            )
            terms.finish(tx)
            return receipt
    except RequestsRefused as refused:
        return _refuse(services, wanted, refused.faults, terms)
    except TokenTaken as taken:
        return _refuse(services, wanted, (Fault(line=0, field="token", reason=str(taken)),), terms)


def _refuse(services: Services, wanted: BatchRequest, faults: tuple[Fault, ...], terms: Terms) -> Receipt:
    with services.database.transaction() as tx:
        receipt = write_refused(
            tx,
            wanted,
            faults,
            account_id=services.account_id,
            now=services.clock(),
            new_id=services.new_id,
        )
        terms.finish(tx)
        return receipt


def _batch(raw: object, token: str, extra: Mapping[str, Any]) -> tuple[BatchRequest, tuple[Fault, ...]]:
    """Read the batch; what cannot be read gets defaults and faults."""
    faults = tuple(
        Fault(line=0, field=str(name), reason="is not an argument", permitted=("batch", "requests")) for name in extra
    )
    if not isinstance(raw, Mapping):
        fault = Fault(line=0, field="batch", reason="must be an object")
        return BatchRequest(token=token), (*faults, fault)
    wanted = validate_batch(raw)
    if isinstance(wanted, BatchRequest):
        return replace(wanted, token=token), faults
    return BatchRequest(token=token), (*faults, *wanted)


def _token(raw: object, message_id: str) -> str:
    """Return the producer's token when it is one, else a name made from the message."""
    token = raw.get("token") if isinstance(raw, Mapping) else None
    if token is None or token == "":
        return f"message:{message_id}"
    text = token if isinstance(token, str) else json.dumps(token, default=str)
    clean = "".join(char for char in text if char.isprintable() and not "\ud800" <= char <= "\udfff")
    return clean[:_TOKEN_MAX] or f"message:{message_id}"


def _visible(text: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
