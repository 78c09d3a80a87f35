import pickle
import socket
import ssl
from datetime import timedelta

import pytest
import requests
from urllib3 import exceptions as urllib3_errors
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from tests.provider.conftest import NOW
from worker.core.rules.errors import (
    AccountPaused,
    Conflict,
    NotFound,
    OutcomeUnknown,
    PauseReason,
    ProviderError,
    Refused,
    Throttled,
    Unavailable,
)
from worker.provider.answers import Envelope
from worker.provider.errors import from_answer, from_transport, parse_retry_after

HOST = HTTPConnection("images.example")
POOL = HTTPConnectionPool("images.example")


def translate(status: int, code: str | None, *, is_paid: bool = True) -> ProviderError:
    envelope = Envelope(code=code, message="why", request_id="req_1")
    return from_answer(status=status, envelope=envelope, retry_after=timedelta(seconds=3), is_paid=is_paid)


@pytest.mark.parametrize(
    ("status", "code", "for_create", "for_others"),
    [
        (400, "validation_failed", Refused, Refused),
        (500, "validation_failed", Refused, Refused),
        (408, "validation_failed", Refused, Refused),
        (400, "webhook_url_rejected", Refused, Refused),
        (404, "not_found", NotFound, NotFound),
        (500, "not_found", NotFound, NotFound),
        (409, "idempotency_conflict", Conflict, Conflict),
        (400, "idempotency_conflict", Conflict, Conflict),
        (429, "rate_limited", Throttled, Throttled),
        (503, "rate_limited", Throttled, Throttled),
        (429, "slow_down", Throttled, Throttled),
        (429, "validation_failed", Throttled, Throttled),
        (429, None, Throttled, Throttled),
        (400, None, Unavailable, Unavailable),
        (400, "brand_new", Refused, Refused),
        (413, None, Refused, Refused),
        (415, "brand_new", Refused, Refused),
        (422, None, Refused, Refused),
        (405, None, Unavailable, Unavailable),
        (407, None, Unavailable, Unavailable),
        (421, None, Unavailable, Unavailable),
        (404, None, NotFound, NotFound),
        (409, "brand_new", Conflict, Unavailable),
        (408, None, OutcomeUnknown, Unavailable),
        (425, None, OutcomeUnknown, Unavailable),
        (499, None, OutcomeUnknown, Unavailable),
        (302, None, OutcomeUnknown, Unavailable),
        (200, "brand_new", OutcomeUnknown, Unavailable),
        (500, None, OutcomeUnknown, Unavailable),
        (502, "brand_new", OutcomeUnknown, Unavailable),
        (503, None, OutcomeUnknown, Unavailable),
        (999, None, OutcomeUnknown, Unavailable),
    ],
)
def test_the_code_decides_first_and_the_status_second(
    status: int, code: str | None, for_create: type[ProviderError], for_others: type[ProviderError]
) -> None:
    kinds = (type(translate(status, code, is_paid=True)), type(translate(status, code, is_paid=False)))

    assert kinds == (for_create, for_others)


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (401, "api_key_missing", PauseReason.API_KEY_MISSING),
        (401, "api_key_invalid", PauseReason.API_KEY_INVALID),
        (401, "api_key_revoked", PauseReason.API_KEY_REVOKED),
        (401, "api_key_expired", PauseReason.API_KEY_EXPIRED),
        (403, "api_scope_denied", PauseReason.API_SCOPE_DENIED),
        (503, "public_api_disabled", PauseReason.PUBLIC_API_DISABLED),
        (402, "insufficient_credits", PauseReason.INSUFFICIENT_CREDITS),
        (400, "insufficient_credits", PauseReason.INSUFFICIENT_CREDITS),
        (429, "insufficient_credits", PauseReason.INSUFFICIENT_CREDITS),
        (500, "insufficient_credits", PauseReason.INSUFFICIENT_CREDITS),
        (401, None, PauseReason.UNAUTHORIZED),
        (402, "brand_new", PauseReason.INSUFFICIENT_CREDITS),
        (403, "operator", PauseReason.UNAUTHORIZED),
    ],
)
def test_what_stops_the_whole_account_pauses_it_with_the_reason(
    status: int, code: str | None, reason: PauseReason
) -> None:
    error = translate(status, code)

    assert isinstance(error, AccountPaused)
    assert error.reason is reason


def test_an_error_keeps_the_code_the_words_the_status_and_the_request_id() -> None:
    error = translate(418, "teapot")

    assert (error.code, error.message, error.status, error.request_id) == ("teapot", "why", 418, "req_1")


def test_an_error_without_a_code_is_named_by_its_status() -> None:
    assert translate(502, None).code == "http_502"


def test_a_throttled_call_keeps_the_wait() -> None:
    error = translate(429, None)

    assert isinstance(error, Throttled)
    assert error.retry_after == timedelta(seconds=3)


@pytest.mark.parametrize(
    ("status", "code"), [(429, None), (401, "api_key_invalid"), (500, None), (400, "validation_failed")]
)
def test_an_error_survives_pickling(status: int, code: str | None) -> None:
    error = translate(status, code)

    assert vars(pickle.loads(pickle.dumps(error))) == vars(error)


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (urllib3_errors.NameResolutionError("h", HOST, socket.gaierror()), "dns_failure"),
        (urllib3_errors.NewConnectionError(HOST, "refused"), "connect_failed"),
        (urllib3_errors.ConnectTimeoutError(HOST, "slow"), "connect_timeout"),
        (urllib3_errors.SSLError(ssl.SSLCertVerificationError("bad")), "certificate_refused"),
    ],
)
def test_a_failure_before_the_first_byte_leaves_a_create_free_to_be_made_again(cause: Exception, code: str) -> None:
    error = requests.ConnectionError(urllib3_errors.MaxRetryError(POOL, "/", cause))

    failure = from_transport(error, is_paid=True, has_begun=False)

    assert (type(failure), failure.code) == (Unavailable, code)


CAUSES = [
    urllib3_errors.ProtocolError("Connection aborted.", ConnectionResetError()),
    urllib3_errors.SSLError(ssl.SSLEOFError("cut")),
    urllib3_errors.ProxyError("Unable to connect to proxy", ConnectionResetError()),
    urllib3_errors.NewConnectionError(HOST, "refused"),
    OSError(),
    MemoryError(),
    ValueError("anything"),
]


@pytest.mark.parametrize("cause", CAUSES, ids=repr)
def test_once_a_byte_may_have_left_no_kind_of_failure_frees_a_create(cause: Exception) -> None:
    error = requests.ConnectionError(urllib3_errors.MaxRetryError(POOL, "/", cause))

    assert isinstance(from_transport(error, is_paid=True, has_begun=True), OutcomeUnknown)


@pytest.mark.parametrize("cause", CAUSES, ids=repr)
def test_until_a_byte_may_have_left_every_kind_of_failure_frees_a_create(cause: Exception) -> None:
    error = requests.ConnectionError(urllib3_errors.MaxRetryError(POOL, "/", cause))

    assert isinstance(from_transport(error, is_paid=True, has_begun=False), Unavailable)


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.2.3", None),
        ("nan", None),
        ("0", timedelta(0)),
        ("7", timedelta(seconds=7)),
        (" 7 ", timedelta(seconds=7)),
        ("1.5", timedelta(seconds=1.5)),
        ("99999999999999999999", timedelta(minutes=15)),
        ("9" * 400, None),
        ("Sun, 22 Nov 2026 12:00:30 GMT", timedelta(seconds=30)),
        ("Sun, 22 Nov 2026 11:59:30 GMT", None),
        ("Sun, 22 Nov 2099 12:00:00 GMT", timedelta(minutes=15)),
        ("Sun, 22 Nov 2026 12:00:30", None),
        ("Sun, 99 Nov 2026 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date_and_never_trips(value: str | None, wait: timedelta | None) -> None:
    assert parse_retry_after(value, now=lambda: NOW) == wait
