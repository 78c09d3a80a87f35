"""What a person does about a batch: the operations of the HTTP API behind the forms of its page."""

from collections.abc import Mapping
from typing import TypeVar

from starlette.responses import Response

from worker.web.api import batches, operations
from worker.web.api.schemas import Asked, NewCap, NewTry, Reasoned
from worker.web.console import batch, page
from worker.web.console.page import Visit

Fields = Mapping[str, str]
T = TypeVar("T", bound=Asked)


def pause(visit: Visit, fields: Fields) -> Response:
    """Begin nothing more for now."""
    batches.pause_batch(visit.call, _read(Reasoned, fields, "reason"))
    return _back(visit, "paused")


def resume(visit: Visit, fields: Fields) -> Response:
    """Go on."""
    batches.resume_batch(visit.call, _read(Reasoned, fields, "reason"))
    return _back(visit, "resumed")


def cancel(visit: Visit, fields: Fields) -> Response:
    """Begin nothing more ever."""
    batches.cancel_batch(visit.call, _read(Reasoned, fields, "reason"))
    return _back(visit, "cancelled")


def retry(visit: Visit, fields: Fields) -> Response:
    """Ask for the failed jobs again, at no more than the price that the page showed."""
    batches.retry_batch(visit.call, _read(NewTry, fields, "reason", "code", "max_credits"))
    return _back(visit, "retried")


def cap(visit: Visit, fields: Fields) -> Response:
    """Set the cap; an empty field lifts it."""
    given = {"credits": fields.get("credits", "").replace(",", "") or None, "reason": fields.get("reason") or None}
    asked = operations.parsed(NewCap, given, "form")
    assert isinstance(asked, NewCap)
    batches.set_cap(visit.call, asked)
    return _back(visit, "capped")


def _read(model: type[T], fields: Fields, *names: str) -> T:
    """Return the fields that are filled in; raise Problem for what cannot be."""
    found = operations.parsed(model, {name: fields[name] for name in names if fields.get(name)}, "form")
    assert isinstance(found, model)
    return found


def _back(visit: Visit, did: str) -> Response:
    return page.redirect(visit.request, batch.path_of(visit.request.path_params["batch_id"], did))
