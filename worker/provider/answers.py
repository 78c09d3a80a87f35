"""What an answer says, read with tolerance for everything that the provider does not promise."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urljoin

from worker.provider.wire import GenerationStatus, GenerationView, ModelView, UploadedFile, WebhookView

MAX_MESSAGE_CHARS = 500
MAX_CREDITS = 2**31 - 1

_MAX_DIGITS = 100

_ID = re.compile(r"[!-~]{1,200}")


class MalformedAnswerError(ValueError):
    """An answer lacks a promised field, or holds it with the wrong type."""


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """What an error answer says; every part may be missing."""

    code: str | None
    message: str
    request_id: str | None


def read_json(content: bytes) -> Mapping[str, Any]:
    """The JSON object in ``content``; raises MalformedAnswerError for anything else."""
    try:
        value = json.loads(content, parse_int=_int)
    except (ValueError, RecursionError):
        raise MalformedAnswerError("the answer is not JSON") from None
    if not isinstance(value, dict):
        raise MalformedAnswerError("the answer is not a JSON object")
    return value


def _int(text: str) -> float:
    """Read digits; so many that Python refuses them are no amount, and no reason to lose the rest of the answer."""
    return int(text) if len(text) <= _MAX_DIGITS else math.inf


def read_envelope(content: bytes, *, request_id: str | None) -> Envelope:
    """Parse an error answer; a body that is not JSON becomes the message, truncated."""
    try:
        error = read_json(content).get("error")
    except MalformedAnswerError:
        error = None
    if not isinstance(error, dict):
        return Envelope(code=None, message=clean(content.decode(errors="replace")), request_id=request_id)
    return Envelope(
        code=_text(error.get("code"), limit=100),
        message=_text(error.get("message")) or "",
        request_id=_text(error.get("requestId"), limit=200) or request_id,
    )


def is_bare_error(content: bytes) -> bool:
    """True for an error with a code and no id beside it: it speaks of the request, not of a generation."""
    try:
        answer = read_json(content)
    except MalformedAnswerError:
        return False
    error = answer.get("error")
    return "id" not in answer and isinstance(error, dict) and _text(error.get("code")) is not None


def read_generation(
    answer: Mapping[str, Any],
    *,
    http_status: int,
    request_id: str | None,
    base_url: str = "",
    is_create: bool = False,
) -> GenerationView:
    """Read the generation in an answer; raise MalformedAnswerError without an id, or without a status.

    A create whose answer has a usable id was carried out, whatever else the answer holds, so there a status may be
    missing. Credits that are no amount are None, and named in ``unusable``. A result's address may be relative to
    ``base_url``.
    """
    error = answer.get("error")
    error = error if isinstance(error, dict) else {}
    return GenerationView(
        id=_id(answer),
        status=_status(answer, may_be_missing=is_create),
        model=_text(answer.get("model"), limit=200) or "",
        reserved_credits=_whole(answer.get("reserved_credits")),
        final_credits=_whole(answer.get("final_credits")),
        unusable=tuple(_unusable(answer, "reserved_credits", "final_credits")),
        result_urls=_result_urls(answer.get("result"), base_url),
        error_code=_text(error.get("code"), limit=100),
        error_message=_text(error.get("message")),
        http_status=http_status,
        request_id=_text(error.get("requestId"), limit=200) or request_id,
        created_at=_instant(answer.get("created_at")),
        took=_took(answer.get("created_at"), answer.get("updated_at")),
    )


def _took(created_at: object, updated_at: object) -> timedelta | None:
    begin, end = _instant(created_at), _instant(updated_at)
    return end - begin if begin is not None and end is not None and end > begin else None


def _instant(value: object) -> datetime | None:
    """Read an instant; one without a time zone says nothing."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def read_upload(answer: Mapping[str, Any], *, base_url: str = "") -> UploadedFile:
    """The file in an answer; only its URL is needed and documented, and may be relative to ``base_url``."""
    url = _absolute(answer.get("url"), base_url)
    if url is None:
        raise MalformedAnswerError("the answer to the upload has no usable url")
    return UploadedFile(id=_text(answer.get("id"), limit=200), url=url)


def read_credits(answer: Mapping[str, Any]) -> int:
    """The balance in an answer; below zero when more was charged than the wallet held."""
    value = answer.get("current_credits")
    if value is None:
        raise MalformedAnswerError("the answer has no current_credits")
    balance = _whole_of_either_sign(value)
    if balance is None:
        raise MalformedAnswerError(f"current_credits is not a whole number from -{MAX_CREDITS} to {MAX_CREDITS}")
    return balance


def read_models(answer: Mapping[str, Any]) -> tuple[ModelView, ...]:
    """The models in an answer; an entry without an id is passed over."""
    entries = answer.get("data")
    if not isinstance(entries, list):
        raise MalformedAnswerError("the answer has no list of models")
    return tuple(_model(entry) for entry in entries if isinstance(entry, dict) and _text(entry.get("id")))


def read_webhook(answer: Mapping[str, Any]) -> WebhookView:
    """The endpoint in an answer; only its id is needed."""
    return WebhookView(
        id=_id(answer),
        url=_text(answer.get("url"), limit=2_000),
        status=_text(answer.get("status"), limit=100),
        signing_secret=_text(answer.get("signing_secret"), limit=500),
        failure_count=_whole(answer.get("failure_count")),
        last_success_at=_instant(answer.get("last_success_at")),
        last_failure_at=_instant(answer.get("last_failure_at")),
    )


def read_webhooks(answer: Mapping[str, Any]) -> tuple[WebhookView, ...]:
    """All endpoints in an answer; under which key they are listed is not documented."""
    listed = next((answer[key] for key in ("data", "webhooks", "endpoints") if isinstance(answer.get(key), list)), None)
    if listed is None:
        raise MalformedAnswerError("the answer has no list of webhooks")
    return tuple(read_webhook(each) for each in listed if isinstance(each, dict) and _text(each.get("id")))


def clean(text: str, limit: int = MAX_MESSAGE_CHARS) -> str:
    """``text`` on one printable line of at most ``limit`` characters: safe to log, to show and to store."""
    printable = "".join(char if char.isprintable() else " " for char in text[: 8 * limit])
    return " ".join(printable.split())[:limit]


def _text(value: object, limit: int = MAX_MESSAGE_CHARS) -> str | None:
    return (clean(value, limit) or None) if isinstance(value, str) else None


def _id(answer: Mapping[str, Any]) -> str:
    value = answer.get("id")
    # An id becomes part of a path: "." and ".." would lead to another one.
    if not isinstance(value, str) or not _ID.fullmatch(value) or value in {".", ".."}:
        raise MalformedAnswerError("the answer has no usable id")
    return value


def _unusable(answer: Mapping[str, Any], *names: str) -> Iterator[str]:
    """Name the amounts that are there and are none."""
    for name in names:
        value = answer.get(name)
        if value is not None and _whole(value) is None:
            yield f"{name} is {clean(repr(value), 60)}"


def _status(answer: Mapping[str, Any], *, may_be_missing: bool) -> GenerationStatus:
    value = answer.get("status")
    if not isinstance(value, str) and may_be_missing:
        return GenerationStatus.UNKNOWN
    if not isinstance(value, str):
        raise MalformedAnswerError("the answer has no status")
    try:
        return GenerationStatus(value)
    except ValueError:
        return GenerationStatus.UNKNOWN


def _whole(value: object) -> int | None:
    """The number when it is whole however it was written: 4, 4.0 and "4" are the same amount."""
    number = _whole_of_either_sign(value)
    return number if number is not None and number >= 0 else None


def _whole_of_either_sign(value: object) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,10}", value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and abs(value) <= MAX_CREDITS else None


def _result_urls(result: object, base_url: str) -> tuple[str, ...]:
    if not isinstance(result, dict):
        return ()
    listed = result.get("urls")
    offered = [result.get("primary_url"), *(listed if isinstance(listed, list) else [])]
    return tuple(dict.fromkeys(url for each in offered if (url := _absolute(each, base_url)) is not None))


def _absolute(url: object, base_url: str) -> str | None:
    """The address when it can be opened over the web, taken relative to ``base_url`` when it names no host."""
    if not isinstance(url, str) or not url:
        return None
    try:
        joined = urljoin(base_url, url)
    except ValueError:
        return None
    return joined if _is_web_url(joined) else None


def _is_web_url(url: str) -> bool:
    return url.startswith(("https://", "http://")) and url.isprintable()


def _model(entry: Mapping[str, Any]) -> ModelView:
    return ModelView(
        id=_text(entry.get("id")) or "",
        base_credits=_whole(entry.get("base_credits")),
        billing_type=_text(entry.get("billing_type")),
        api_status=_text(entry.get("api_status")),
        max_prompt_length=_whole(entry.get("max_prompt_length")),
    )
