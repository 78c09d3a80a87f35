"""Calls to the provider: each is sent once, then answered or turned into a domain error; never retried."""

import json
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import requests

from worker.core import tracing
from worker.core.http import Attempt
from worker.core.rules.errors import REFUSED_CONTENT, ProviderError
from worker.provider import answers, errors
from worker.provider.session import BearerKey, Sending, checked_base_url, form, new_session
from worker.provider.wire import GenerationView, ModelView, UploadedFile, WebhookView

T = TypeVar("T")
MAX_ANSWER_BYTES = 1 << 20
_READ_BYTES = 1 << 16
_PROVIDER_ID = re.compile(r"(?<=[a-z])/[^/]+")
"""Follows the kind of thing in a path, as in ``/generations/ID`` and ``/webhooks/ID/test``; the first one only."""


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """How long a call may take: to connect, between two bytes, and in all; an upload has ``send_s`` on top."""

    connect_s: float = 5.0
    send_s: float = 45.0
    read_s: float = 30.0
    total_s: float = 40.0


@dataclass(frozen=True, kw_only=True)
class _Answer:
    status: int
    content: bytes
    request_id: str | None
    headers: Mapping[str, str]
    """Names in any case."""


class Client:
    """The provider's public API behind one key; safe to share between threads.

    Every method raises a ``ProviderError``. Only ``create`` costs credits, so only ``create`` raises
    ``OutcomeUnknown``; the other calls may always be made again.
    """

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        now: Callable[[], datetime],
        timeouts: Timeouts | None = None,
        user_agent: str = "darkroom",
        refused_content: frozenset[str] = REFUSED_CONTENT,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make no connection yet; raise ValueError for a base URL or a key that cannot be used."""
        self._auth = BearerKey(api_key)
        # A traceback with local values must not find the key in this frame: nothing raises before this line.
        del api_key
        self._auth.check()
        self._base_url = checked_base_url(base_url)
        self._timeouts = timeouts or Timeouts()
        self._user_agent = user_agent
        self._refused_content = refused_content
        self._now = now
        self._monotonic = monotonic
        self._local = threading.local()

    def __repr__(self) -> str:
        return f"Client(base_url={vars(self).get('_base_url')!r})"

    def create(self, *, body: bytes, idempotency_key: str) -> GenerationView:
        """A generation that the provider has accepted for exactly these bytes under this key."""
        answer = self._call(
            "POST",
            "/generations",
            is_paid=True,
            data=body,
            headers={"Content-Type": "application/json", "Idempotency-Key": idempotency_key},
        )
        view = self._read(answer, self._generation_parser(answer, is_create=True), is_paid=True)
        return replace(view, limit_resets_in=self._until_reset(answer))

    def get(self, provider_id: str) -> GenerationView:
        """Return the present state of the generation; an answer about another one is malformed."""
        answer = self._call("GET", f"/generations/{quote(provider_id, safe='')}")
        view = self._read(answer, self._generation_parser(answer))
        if view.id != provider_id:
            raise errors.malformed(
                "the answer is about another generation",
                is_paid=False,
                status=answer.status,
                request_id=answer.request_id,
            )
        return view

    def upload(self, *, content: bytes, name: str, mime_type: str, model: str, client_request_id: str) -> UploadedFile:
        """The provider's own copy of an image; free, so it may be repeated."""
        fields = {"kind": "image", "model": model, "client_request_id": client_request_id}
        body, content_type = form(fields, name=name, content=content, mime_type=mime_type)
        answer = self._call(
            "POST",
            "/files",
            send_s=self._timeouts.send_s,
            data=Sending(body, most_s=self._timeouts.send_s, monotonic=self._monotonic),
            headers={"Content-Type": content_type},
        )
        file = self._read(answer, lambda body: answers.read_upload(body, base_url=self._base_url))
        return replace(file, http_status=answer.status, request_id=answer.request_id)

    def file(self, provider_id: str) -> UploadedFile:
        """The upload as the provider has it."""
        answer = self._call("GET", f"/files/{quote(provider_id, safe='')}")
        file = self._read(answer, lambda body: answers.read_upload(body, base_url=self._base_url))
        return replace(file, http_status=answer.status, request_id=answer.request_id)

    def credits(self) -> int:
        """The balance of the account's wallet, which other uses share."""
        return self._read(self._call("GET", "/credits"), answers.read_credits)

    def models(self) -> tuple[ModelView, ...]:
        """All models that the provider lists, those that cannot be called included."""
        return self._read(self._call("GET", "/models"), answers.read_models)

    def add_webhook(self, *, name: str, url: str, event_types: Sequence[str]) -> WebhookView:
        """Register an endpoint; only this answer has its secret."""
        answer = self._call(
            "POST",
            "/webhooks",
            data=json.dumps({"name": name, "url": url, "event_types": list(event_types)}).encode(),
            headers={"Content-Type": "application/json"},
        )
        return self._read(answer, answers.read_webhook)

    def webhooks(self) -> tuple[WebhookView, ...]:
        """All endpoints of the account, without their secrets."""
        return self._read(self._call("GET", "/webhooks"), answers.read_webhooks)

    def rotate_webhook_secret(self, provider_id: str) -> WebhookView:
        """Have the provider sign with a new secret, which only this answer has."""
        answer = self._call("POST", f"/webhooks/{quote(provider_id, safe='')}/rotate-secret")
        return self._read(answer, answers.read_webhook)

    def test_webhook(self, provider_id: str) -> None:
        """Have the provider send a test event to an endpoint; what it answers is not documented."""
        self._done(self._call("POST", f"/webhooks/{quote(provider_id, safe='')}/test"))

    def remove_webhook(self, provider_id: str) -> None:
        """Have the provider forget an endpoint."""
        self._done(self._call("DELETE", f"/webhooks/{quote(provider_id, safe='')}"))

    @property
    def base_url(self) -> str:
        """Where the provider is, without a trailing slash."""
        return self._base_url

    def credential(self) -> str:
        """Return the Authorization header; for the provider's own origin only."""
        return self._auth.header()

    def close(self) -> None:
        """Close the calling thread's connections; its next call opens new ones."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is not None:
            session.close()

    def _call(self, method: str, path: str, *, is_paid: bool = False, send_s: float = 0, **parts: Any) -> _Answer:
        attempt = Attempt(total_s=self._timeouts.total_s + send_s)
        try:
            with self._traced(method, path) as span, attempt:
                answer = self._exchange(method, path, parts, attempt)
                span.set(_traced_answer(answer))
                return answer
        except answers.MalformedAnswerError as error:
            failure = errors.malformed(str(error), is_paid=is_paid)
        except Exception as error:  # noqa: BLE001 - whether anything was sent says what may be done, whatever it is
            failure = errors.from_transport(
                error, is_paid=is_paid, has_begun=attempt.has_begun, is_over=attempt.is_over
            )
        # Raised here and not above, so that no chained error carries the request and its headers along.
        raise failure

    def _traced(self, method: str, path: str) -> AbstractContextManager[tracing.Span]:
        """Begin the span of a call: without the key, the body, or anything else that was sent."""
        if not tracing.is_on():
            return tracing.inside(path)
        place = urlsplit(self._base_url)
        named: tracing.Attributes = {
            "http.request.method": method,
            "url.full": f"{self._base_url}/api/v1{path}",
            "url.template": (template := _PROVIDER_ID.sub("/{id}", path, count=1)),
            "server.address": place.hostname or "",
            "server.port": place.port or (443 if place.scheme == "https" else 80),
        }
        return tracing.inside(f"{method} {template}", named, kind="client")

    def _exchange(self, method: str, path: str, parts: Mapping[str, Any], attempt: Attempt) -> _Answer:
        with self._session().request(
            method,
            f"{self._base_url}/api/v1{path}",
            timeout=(self._timeouts.connect_s, self._timeouts.read_s),
            allow_redirects=False,
            stream=True,
            **parts,
        ) as response:
            return _Answer(
                status=response.status_code,
                content=self._auth.hide(self._content(response, attempt)),
                request_id=_request_id(response),
                headers=response.headers,
            )

    def _content(self, response: requests.Response, attempt: Attempt) -> bytes:
        content = bytearray()
        while chunk := response.raw.read1(_READ_BYTES, decode_content=True):
            content += chunk
            if len(content) > MAX_ANSWER_BYTES:
                raise answers.MalformedAnswerError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
        if attempt.is_over:
            # A body without a length that was cut looks like a whole one.
            raise requests.ReadTimeout
        return bytes(content)

    def _read(self, answer: _Answer, parse: Callable[[Mapping[str, Any]], T], *, is_paid: bool = False) -> T:
        if not 200 <= answer.status < 300:  # noqa: PLR2004 (the class of successes)
            raise self._failure(answer, is_paid=is_paid)
        try:
            return parse(answers.read_json(answer.content))
        except answers.MalformedAnswerError as error:
            detail = str(error)
        raise self._unusable(answer, detail, is_paid=is_paid)

    def _done(self, answer: _Answer) -> None:
        if not 200 <= answer.status < 300:  # noqa: PLR2004 (the class of successes)
            raise self._failure(answer, is_paid=False)

    def _failure(self, answer: _Answer, *, is_paid: bool) -> ProviderError:
        envelope = answers.read_envelope(answer.content, request_id=answer.request_id)
        if 300 <= answer.status < 400:  # noqa: PLR2004 (the class of redirects)
            envelope = replace(
                envelope, message="the answer is a redirect, which is not followed: check RIVYA_BASE_URL"
            )
        return errors.from_answer(
            status=answer.status,
            envelope=envelope,
            retry_after=self._wait(answer),
            is_paid=is_paid,
            refused_content=self._refused_content,
        )

    def _wait(self, answer: _Answer) -> timedelta | None:
        named = errors.parse_retry_after(answer.headers.get("Retry-After"), now=lambda: self._time_of(answer))
        return self._until_reset(answer) if named is None else named

    def _until_reset(self, answer: _Answer) -> timedelta | None:
        wait = errors.wait_until_reset(answer.headers, now=lambda: self._time_of(answer))
        return None if wait is None else min(wait, errors.LONGEST_WAIT)

    def _time_of(self, answer: _Answer) -> datetime:
        """Return the time by the provider's clock where the answer says it."""
        return errors.parse_date(answer.headers.get("Date")) or self._now()

    def _unusable(self, answer: _Answer, detail: str, *, is_paid: bool) -> ProviderError:
        if answers.is_bare_error(answer.content):
            return self._failure(answer, is_paid=is_paid)
        return errors.malformed(detail, is_paid=is_paid, status=answer.status, request_id=answer.request_id)

    def _generation_parser(
        self, answer: _Answer, *, is_create: bool = False
    ) -> Callable[[Mapping[str, Any]], GenerationView]:
        def parse(body: Mapping[str, Any]) -> GenerationView:
            return answers.read_generation(
                body,
                http_status=answer.status,
                request_id=answer.request_id,
                base_url=self._base_url,
                is_create=is_create,
            )

        return parse

    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = new_session(base_url=self._base_url, auth=self._auth, user_agent=self._user_agent)
        session: requests.Session = self._local.session
        return session


def _traced_answer(answer: _Answer) -> dict[str, str | int]:
    found: dict[str, str | int] = {"http.response.status_code": answer.status}
    if answer.status >= 400:  # noqa: PLR2004 (the classes of errors)
        found["error.type"] = str(answer.status)
    if answer.request_id:
        found["darkroom.provider.request_id"] = answer.request_id
    return found


def _request_id(response: requests.Response) -> str | None:
    return answers.clean(response.headers.get("X-Request-Id", ""), 200) or None


Statuses = Mapping[str, str | None]
"""The ``api_status`` of each listed model."""
_LOCK_WAIT_S = 5.0


class ListBusy(Exception):
    """Another thread is reading the list, and the provider takes long to answer."""


class ModelListing:
    """The last list that was read; safe to share between threads."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = threading.Lock()
        self._asked_at = float("-inf")
        self._statuses: Statuses = {}

    def read_since(self, instant: float, ask: Callable[[], Statuses]) -> Statuses:
        """Return a list fetched after the instant of ``time.monotonic``, or call ``ask``.

        Raises ListBusy, and whatever ``ask`` raises.
        """
        if not self._lock.acquire(timeout=_LOCK_WAIT_S):
            raise ListBusy
        try:
            if self._asked_at <= instant:
                asked_at = time.monotonic()
                self._statuses = ask()
                self._asked_at = asked_at
            return self._statuses
        finally:
            self._lock.release()
