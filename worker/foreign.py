"""What becomes of a message from a producer that only speaks Celery: a batch, or a refused batch, never nothing."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog

from worker.domain.fault import Fault, plain
from worker.domain.request import BatchRequest, validate_batch
from worker.enqueue import prepare_requests
from worker.intake import Prepared, Receipt, RequestsRefused, TokenTaken, write, write_refused
from worker.services import Services

log = structlog.get_logger(__name__)

_TOKEN_MAX = 200


def take_call(
    services: Services, message_id: str, arguments: tuple[object, ...], named: Mapping[str, object]
) -> Receipt:
    """Take a message as Celery calls it: ``batch`` and ``requests``, in this order or by name, and nothing else."""
    by_place = _by_place(arguments)
    surplus = {f"argument {n}": value for n, value in enumerate(arguments[2:], start=3)}
    twice = {f"{name}, given twice": None for name in by_place if name in named}
    values = {**named, **by_place}
    extra = {name: value for name, value in values.items() if name not in {"batch", "requests"}}
    return take(services, message_id, values.get("batch"), values.get("requests"), {**extra, **surplus, **twice})


def refuse_call(
    services: Services, message_id: str, arguments: tuple[object, ...], named: Mapping[str, object], *, reason: str
) -> Receipt:
    """Record a message that could be read and not be written as a refused batch under its token."""
    batch = {**named, **_by_place(arguments)}.get("batch")
    fault = Fault(line=0, field="message", reason=plain(f"cannot be taken: {reason}"))
    return _refuse(services, BatchRequest(token=_token(batch, message_id)), (fault,))


def _by_place(arguments: tuple[object, ...]) -> dict[str, object]:
    return dict(zip(("batch", "requests"), arguments, strict=False))


def take(services: Services, message_id: str, batch: object, requests: object, extra: Mapping[str, Any]) -> Receipt:
    """Write the batch that the message asks for; with any fault, a refused batch under the same token.

    A message without a usable token is known by its own id, so that its redelivery changes nothing.
    """
    token = _token(batch, message_id)
    wanted, faults = _batch(batch, token, extra)
    prepared = prepare_requests(requests if isinstance(requests, list) else [], store=services.store)
    if not isinstance(requests, list):
        faults = (*faults, Fault(line=0, field="requests", reason="must be a list of objects"))
    else:
        faults = (*faults, *prepared.faults)
    receipt = _refuse(services, wanted, faults) if faults else _accept(services, wanted, prepared)
    log.info("batch.enqueued", batch=str(receipt.batch_id), token=token, state=receipt.state, jobs=receipt.jobs)
    return receipt


def _accept(services: Services, wanted: BatchRequest, prepared: Prepared) -> Receipt:
    try:
        with services.database.bulk_transaction() as tx:
            return write(
                tx,
                wanted,
                prepared,
                account_id=services.account_id,
                now=services.clock(),
                new_id=services.new_id,
            )
    except RequestsRefused as refused:
        return _refuse(services, wanted, refused.faults)
    except TokenTaken as taken:
        return _refuse(services, wanted, (Fault(line=0, field="token", reason=str(taken)),))


def _refuse(services: Services, wanted: BatchRequest, faults: tuple[Fault, ...]) -> Receipt:
    with services.database.transaction() as tx:
        return write_refused(
            tx,
            wanted,
            faults,
            account_id=services.account_id,
            now=services.clock(),
            new_id=services.new_id,
        )


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
    """Give the producer's token when it is one, else a name made from the message."""
    token = raw.get("token") if isinstance(raw, Mapping) else None
    if token is None or token == "":
        return f"message:{message_id}"
    text = token if isinstance(token, str) else json.dumps(token, default=str)
    clean = "".join(char for char in text if char.isprintable() and not "\ud800" <= char <= "\udfff")
    return clean[:_TOKEN_MAX] or f"message:{message_id}"
