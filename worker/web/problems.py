"""Errors of the HTTP API as problem details (RFC 9457), with a ``type`` for each error of the catalogue."""

from collections.abc import Mapping
from typing import Any

import psycopg
import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from worker.accounts.binding import OtherProvider
from worker.accounts.choosing import NoAccount
from worker.accounts.opening import NotConfigured
from worker.accounts.webhooks import WebhookFaulty, WebhookUnregistered
from worker.archive.jobs import ArchiveUnreadable
from worker.archive.parquet import ArchiveExtraMissing
from worker.archive.reading import ArchiveDamaged
from worker.audit.check_file import NoEvidence
from worker.audit.rules.dispute_decision import NotEnded, NotInDoubt, TooMuch, UnfitTask
from worker.audit.sealing import LedgerBusy
from worker.batches.actions import ChangedMeanwhile
from worker.batches.bulk_operations import OperationEnded
from worker.batches.control import CapTooLow
from worker.batches.deadlines import NeverTaken
from worker.batches.queries.results import BatchArchived
from worker.catalog.applying import ApprovalNeeded, PlanRefused, PlanStale
from worker.catalog.approving import ApprovalRefused, RunGoesOn
from worker.catalog.importing import CatalogInUse
from worker.catalog.planning import PlanFaulty
from worker.catalog.queries.schedules import NameTaken
from worker.catalog.schedule_control import ScheduleInvalid
from worker.catalog.scheduling import ScheduleGone
from worker.core.rules.batch_request import DeadlinePassed
from worker.core.rules.errors import DarkroomError, first_line, with_type
from worker.core.rules.states import ActionRefused
from worker.hooks.rules.hook import BadHook
from worker.hooks.subscriptions import DeliveryUnknown, HookDisabled, HookUnknown
from worker.ledger.second_person import SecondPersonNeeded
from worker.storage.spool import StoreUnavailable

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
TYPES = "urn:darkroom:error:"
"""Each ``type`` is this and the error's stable code; docs/reference.md lists them."""


class Problem(Exception):
    """A request is answered with an error."""

    def __init__(
        self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any
    ) -> None:
        """Say what is wrong and what to do; ``extra`` are further members of the problem."""
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.headers, self.extra = dict(headers or {}), extra


class Unauthenticated(Problem):
    """The request has no identity, or one that is not valid any more."""

    def __init__(self, detail: str) -> None:
        """Say how to authenticate."""
        super().__init__(401, "unauthenticated", detail, headers={"WWW-Authenticate": 'Bearer realm="darkroom"'})


class Forbidden(Problem):
    """The identity lacks a right."""

    def __init__(self, detail: str) -> None:
        """Say which right it would need."""
        super().__init__(403, "forbidden", detail)


def response(
    status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any
) -> Response:
    """Build the answer."""
    content = {"type": TYPES + code, "title": code.replace("_", " "), "status": status, "detail": detail, **extra}
    return JSONResponse(content, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def on_problem(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    """Answer a problem that a handler raised."""
    assert isinstance(error, Problem)
    return response(error.status, error.code, error.detail, headers=error.headers, **error.extra)


def on_darkroom_error(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    """Answer an error of the catalogue that no handler expected."""
    assert isinstance(error, DarkroomError)
    status = status_of(error)
    headers = {"Retry-After": RETRY_AFTER_S} if status == _UNAVAILABLE else {}
    return response(status, error.error_code, error.explanation(), headers=headers)


def status_of(error: DarkroomError) -> int:
    """Return the status of an error of the catalogue; 500 for one that no client may expect."""
    return next((status for kind, status in _STATUSES.items() if isinstance(error, kind)), 500)


def on_database_error(request: Request, error: Exception) -> Response:
    """Answer an error of the database: one that is not there for now is no fault of this process."""
    if _is_unavailable(error):
        log.warning("web.database_unavailable", path=request.url.path, error=first_line(error))
        detail = "the database cannot be reached, or is too busy; nothing is known of this request: send it again"
        return response(_UNAVAILABLE, "database_unavailable", detail, headers={"Retry-After": RETRY_AFTER_S})
    return on_unforeseen(request, error)


def on_unforeseen(request: Request, error: Exception) -> Response:
    """Answer an unexpected error without details."""
    log.error("web.failed", path=request.url.path, error=with_type(error), exc_info=error)
    return response(500, "internal_error", "the server failed; its log says why")


def _is_unavailable(error: Exception) -> bool:
    if isinstance(error, PoolTimeout):
        return True
    cause = error.orig if isinstance(error, DBAPIError) else error
    # Locks and statements that took too long, and all that ends a connection.
    return isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)


_UNAVAILABLE = 503
RETRY_AFTER_S = "5"
_STATUSES: dict[type[DarkroomError], int] = {
    ApprovalNeeded: 409,
    ApprovalRefused: 409,
    PlanFaulty: 422,
    PlanRefused: 409,
    PlanStale: 409,
    ActionRefused: 409,
    BatchArchived: 409,
    ChangedMeanwhile: 409,
    OperationEnded: 409,
    CapTooLow: 409,
    DeadlinePassed: 409,
    NeverTaken: 409,
    NoAccount: 422,
    NoEvidence: 422,
    OtherProvider: 409,
    WebhookFaulty: 422,
    WebhookUnregistered: 502,
    SecondPersonNeeded: 409,
    CatalogInUse: 409,
    NameTaken: 409,
    RunGoesOn: 409,
    ScheduleGone: 409,
    ScheduleInvalid: 422,
    BadHook: 422,
    DeliveryUnknown: 404,
    HookDisabled: 409,
    HookUnknown: 404,
    NotEnded: 409,
    NotInDoubt: 409,
    TooMuch: 409,
    UnfitTask: 409,
    LedgerBusy: _UNAVAILABLE,
    StoreUnavailable: _UNAVAILABLE,
    ArchiveDamaged: _UNAVAILABLE,
    ArchiveExtraMissing: _UNAVAILABLE,
    ArchiveUnreadable: _UNAVAILABLE,
    NotConfigured: _UNAVAILABLE,
}
"""Errors that a client may expect; every other one of the catalogue is a failure of the server."""
_CODES = {404: "not_found", 405: "method_not_allowed"}


def on_http_error(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    """Answer an error of the router or of a parser."""
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "bad_request" if error.status_code < 500 else "internal_error")  # noqa: PLR2004
    return response(error.status_code, code, error.detail, headers=error.headers)
