"""A call that failed is kept under the word for its error, with the provider's own words."""

from datetime import UTC, datetime

import pytest

from worker.core.rules.errors import (
    AccountPaused,
    Conflict,
    ContentRefused,
    ModelUnavailable,
    NotFound,
    OutcomeUnknown,
    PauseReason,
    ProviderError,
    Refused,
    Throttled,
    Unavailable,
)
from worker.engine.rules import call
from worker.engine.rules.call import Call, CallKind, CallOutcome

SENT = Call(
    kind=CallKind.CREATE,
    started_at=datetime(2026, 11, 22, 12, tzinfo=UTC),
    ended_at=None,
    outcome=CallOutcome.UNKNOWN,
    send=2,
)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Refused("a"), "refused"),
        (ContentRefused("a"), "refused"),
        (NotFound("a"), "not_found"),
        (Conflict("a"), "conflict"),
        (Throttled(None), "throttled"),
        (AccountPaused(PauseReason.OPERATOR), "paused"),
        (Unavailable("a"), "unavailable"),
        (OutcomeUnknown("a"), "unknown"),
        (ModelUnavailable("a", "disabled"), "unknown"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
def test_an_error_of_no_known_class_leaves_the_outcome_unknown(error: ProviderError, outcome: str) -> None:
    assert call.outcome_of(error) == CallOutcome(outcome)


def test_a_failed_call_keeps_what_it_was_and_what_the_provider_said() -> None:
    found = call.failed(SENT, Unavailable("server_error", "", 503, "req-1"))

    assert (found.kind, found.send, found.outcome) == (CallKind.CREATE, 2, CallOutcome.UNAVAILABLE)
    assert (found.http_status, found.code, found.message, found.request_id) == (503, "server_error", None, "req-1")
