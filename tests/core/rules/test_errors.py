"""Errors say what may be done next, survive a process border, and never show more than a line."""

import pickle
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from worker.core.rules import errors
from worker.core.rules.batch_request import DeadlinePassed
from worker.core.rules.errors import (
    AccountPaused,
    Conflict,
    DarkroomError,
    ModelUnavailable,
    NotFound,
    OutcomeUnknown,
    PauseReason,
    ProviderError,
    Refused,
    Throttled,
    Unavailable,
)

ERRORS = [
    Refused("invalid", "too long", 400, "req-1"),
    NotFound("not_found"),
    Conflict("conflict"),
    Unavailable("server_error", "", 503),
    OutcomeUnknown("timeout"),
    AccountPaused(PauseReason.INSUFFICIENT_CREDITS, "empty", 402),
    ModelUnavailable("qwen-image", "disabled", "back soon"),
    Throttled(timedelta(seconds=2)),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_of_the_provider_survives_pickling(error: ProviderError) -> None:
    copy = pickle.loads(pickle.dumps(error))

    assert (type(copy), vars(copy), str(copy)) == (type(error), vars(error), str(error))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ERRORS[0], "invalid (HTTP 400): too long [req-1]"),
        (ERRORS[1], "not_found"),
        (ERRORS[5], "insufficient_credits (HTTP 402): empty"),
        (ERRORS[6], "model_unavailable: qwen-image is disabled: back soon"),
        (ERRORS[7], "rate_limited (HTTP 429)"),
    ],
)
def test_an_error_of_the_provider_is_one_line_with_code_status_words_and_request(
    error: ProviderError, text: str
) -> None:
    assert str(error) == text


def test_an_explanation_has_the_source_and_the_next_step_of_its_class() -> None:
    assert NotFound("not_found").explanation() == "the provider: not_found; run `darkroom doctor`"
    assert DarkroomError("it failed").explanation() == "it failed"


@pytest.mark.parametrize("reason", PauseReason)
def test_a_pause_that_the_provider_did_not_ask_for_lets_what_is_paid_be_read(reason: PauseReason) -> None:
    ours = {"results_unreachable", "provider_failing", "outcomes_unknown", "store_unavailable", "operator"}

    assert reason.ends_by_itself is (reason.value not in ours)
    assert reason.permits_reading is (reason.value in ours | {"insufficient_credits"})
    assert reason.sends_canaries is (reason.value in {"provider_failing", "outcomes_unknown"})


@pytest.mark.parametrize(
    ("error", "line"), [(ValueError("a\nb"), "a"), (ValueError(), "ValueError"), ("text", "text")], ids=repr
)
def test_the_words_of_an_error_are_its_first_line_or_its_type(error: object, line: str) -> None:
    assert errors.first_line(error) == line


def test_the_words_of_an_error_with_its_type_are_cut() -> None:
    assert errors.with_type(ValueError("a\nb")) == "ValueError: a"
    assert len(errors.with_type(ValueError("x" * 1_000))) == errors.LONGEST_LINE


def test_a_refusal_of_content_has_the_providers_code_and_its_words_if_there_are_any() -> None:
    assert errors.content_refusal_message("nsfw", "not this") == "nsfw: not this"
    assert errors.content_refusal_message("nsfw", "") == "nsfw"


def test_a_deadline_that_has_passed_names_the_command_that_sets_a_new_one() -> None:
    error = DeadlinePassed(UUID(int=7), datetime(2026, 11, 22, 12, tzinfo=UTC))

    assert "has passed (2026-11-22 12:00:00 UTC)" in str(error)
    assert f"`darkroom retry {UUID(int=7)} --deadline 6h`" in str(error)
