"""Webhooks: where they go, what is in them, how they are signed, and the sending with all that can go wrong."""

import asyncio
import base64
import hashlib
import heapq
import hmac
import json
import math
import random
import secrets
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import aiohttp
from aiohttp import web

from ops.sandbox.choices import Status, WebhookKey, WebhookSignature
from ops.sandbox.settings import Settings
from ops.sandbox.tasks import timestamp

EVENT_TYPES = ("generation.succeeded", "generation.failed")
API_VERSION = "2026-05-11"
_LOOK_EVERY_S = 0.25
"""A clock that is moved is noticed so soon."""
_KEPT = 1_000
_SUCCESS = range(200, 300)


@dataclass(kw_only=True)
class Endpoint:
    """One registered address; times are seconds since 1970."""

    id: str
    account: str
    name: str
    url: str
    event_types: list[str]
    secret: str
    created_at: float
    updated_at: float
    status: str = "active"
    last_success_at: float | None = None
    last_failure_at: float | None = None
    failure_count: int = 0

    def as_json(self) -> dict[str, Any]:
        """All of it, for the journal."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def view(self, *, with_secret: bool = False) -> dict[str, Any]:
        """What the API shows; the secret only when it is new."""
        shown = {
            "id": self.id,
            "object": "webhook_endpoint",
            "name": self.name,
            "url": self.url,
            "event_types": self.event_types,
            "status": self.status,
            "secret_preview": f"{self.secret[:8]}...{self.secret[-6:]}",
            "last_success_at": _shown(self.last_success_at),
            "last_failure_at": _shown(self.last_failure_at),
            "failure_count": self.failure_count,
            "created_at": timestamp(self.created_at),
            "updated_at": timestamp(self.updated_at),
            "disabled_at": None,
            "revoked_at": None,
        }
        return {**shown, "signing_secret": self.secret} if with_secret else shown


def new_secret() -> str:
    """A signing secret as the standard has it: a prefix, and base64."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"


def new_endpoint(*, account: str, name: str, url: str, event_types: list[str], now: float) -> Endpoint:
    """An endpoint with an id and a secret of its own."""
    return Endpoint(
        id=f"whend_{secrets.token_hex(12)}",
        account=account,
        name=name,
        url=url,
        event_types=event_types,
        secret=new_secret(),
        created_at=now,
        updated_at=now,
    )


@dataclass(kw_only=True)
class Delivery:
    """One event on its way to one endpoint."""

    endpoint: Endpoint
    event_id: str
    type: str
    show: Callable[[], Mapping[str, object]]
    secret: str
    attempts: int = 0
    outcome: str = "pending"

    def view(self) -> dict[str, Any]:
        """What the API shows."""
        return {
            "event_id": self.event_id,
            "type": self.type,
            "endpoint_id": self.endpoint.id,
            "attempts": self.attempts,
            "outcome": self.outcome,
        }


def payload(delivery: Delivery, now: float, key: WebhookKey) -> bytes:
    """The body: the documented beginning, and the generation under the key that the settings name."""
    frame: dict[str, Any] = {
        "id": delivery.event_id,
        "type": delivery.type,
        "api_version": API_VERSION,
        "created_at": timestamp(now),
    }
    match key:
        case WebhookKey.DATA:
            frame["data"] = delivery.show()
        case WebhookKey.DATA_OBJECT:
            frame["data"] = {"object": delivery.show()}
        case WebhookKey.GENERATION:
            frame["generation"] = delivery.show()
    return json.dumps(frame).encode()


def signature(how: WebhookSignature, secret: str, event_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """The headers of a signature."""
    match how:
        case WebhookSignature.STANDARD:
            key = base64.b64decode(secret.removeprefix("whsec_"))
            signed = f"{event_id}.{at_s}.".encode() + body
            code = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
            return {"webhook-id": event_id, "webhook-timestamp": str(at_s), "webhook-signature": f"v1,{code}"}
        case WebhookSignature.STRIPE:
            code = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
            return {"Rivya-Signature": f"t={at_s},v1={code}"}
        case WebhookSignature.NONE:
            return {}


@dataclass(kw_only=True, order=True)
class _Planned:
    at: float
    number: int
    delivery: Delivery = field(compare=False)


class Sender:
    """Sends webhooks when their time has come; what is planned is forgotten when the process ends."""

    def __init__(self, now: Callable[[], float], settings: Callable[[], Settings]) -> None:
        """Nothing is sent before `running`."""
        self._now = now
        self._settings = settings
        self._planned: list[_Planned] = []
        self._number = 0
        self._wake = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._dice = random.Random()
        self.deliveries: deque[Delivery] = deque(maxlen=_KEPT)
        self.counts: Counter[str] = Counter()

    def reseed(self, seed: str) -> None:
        """The dice start anew."""
        self._dice = random.Random(seed)

    def plan_end(
        self,
        endpoints: Sequence[Endpoint],
        show: Callable[[], Mapping[str, object]],
        *,
        began_at: float,
        ends_at: float,
    ) -> None:
        """The end of a generation will be told to these endpoints, more or less."""
        settings = self._settings()
        for endpoint in endpoints:
            type_ = EVENT_TYPES[show()["status"] is Status.FAILED]
            if type_ not in endpoint.event_types:
                continue
            true = Delivery(endpoint=endpoint, event_id=_event_id(), type=type_, show=show, secret=endpoint.secret)
            if self._dice.random() < settings.webhook_forged:
                forged = Delivery(endpoint=endpoint, event_id=_event_id(), type=type_, show=show, secret=new_secret())
                self.counts["forged"] += 1
                self._plan(began_at + (ends_at - began_at) * self._dice.random(), forged)
            if self._dice.random() < settings.webhook_lost:
                self.counts["lost"] += 1
                continue
            copies = 2 if self._dice.random() < settings.webhook_doubled else 1
            for _ in range(copies):
                self._plan(ends_at + self._delay_s(settings), true)

    def plan_test(self, endpoint: Endpoint) -> Delivery:
        """A test event is sent at once."""
        test = Delivery(
            endpoint=endpoint,
            event_id=_event_id(),
            type="webhook.test",
            show=lambda: {"object": "webhook_test"},
            secret=endpoint.secret,
        )
        self._plan(self._now(), test)
        return test

    async def running(self, _: web.Application) -> AsyncIterator[None]:
        """Webhooks are sent while the application runs."""
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            loop = asyncio.create_task(self._run(session))
            yield
            loop.cancel()
            for each in self._sending:
                each.cancel()
            await asyncio.gather(loop, *self._sending, return_exceptions=True)

    def _plan(self, at: float, delivery: Delivery) -> None:
        self._number += 1
        heapq.heappush(self._planned, _Planned(at=at, number=self._number, delivery=delivery))
        self._wake.set()

    def _delay_s(self, settings: Settings) -> float:
        median_s = settings.webhook_delay_s
        return self._dice.lognormvariate(math.log(median_s), settings.webhook_delay_sigma) if median_s > 0 else 0.0

    async def _run(self, session: aiohttp.ClientSession) -> None:
        while True:
            self._wake.clear()
            while self._planned and self._planned[0].at <= self._now():
                task = asyncio.create_task(self._send(session, heapq.heappop(self._planned).delivery))
                self._sending.add(task)
                task.add_done_callback(self._sending.discard)
            wait_s = min(self._planned[0].at - self._now(), _LOOK_EVERY_S) if self._planned else None
            try:
                await asyncio.wait_for(self._wake.wait(), timeout=wait_s)
            except TimeoutError:
                continue

    async def _send(self, session: aiohttp.ClientSession, delivery: Delivery) -> None:
        settings, endpoint, now = self._settings(), delivery.endpoint, self._now()
        body = payload(delivery, now, settings.webhook_key)
        headers = {"Content-Type": "application/json", "User-Agent": "Rivya-Webhooks"}
        # Receivers compare it with their own clocks; the sandbox's may have been moved.
        signed_at = int(time.time())
        headers |= signature(settings.webhook_signature, delivery.secret, delivery.event_id, signed_at, body)
        delivery.attempts += 1
        if delivery.attempts == 1:
            self.deliveries.append(delivery)
        delivery.outcome = await _posted(session, endpoint.url, body, headers, settings.webhook_timeout_s)
        self.counts[delivery.outcome] += 1
        if delivery.outcome.isdecimal() and int(delivery.outcome) in _SUCCESS:
            endpoint.last_success_at = self._now()
            return
        endpoint.last_failure_at = self._now()
        endpoint.failure_count += 1
        if delivery.attempts < settings.webhook_attempts:
            self._plan(self._now() + settings.webhook_retry_s * 2 ** (delivery.attempts - 1), delivery)


async def _posted(
    session: aiohttp.ClientSession, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float
) -> str:
    """The HTTP status of the answer, or the kind of failure; redirects are not followed."""
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    try:
        async with session.post(url, data=body, headers=headers, timeout=timeout, allow_redirects=False) as answer:
            return str(answer.status)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return type(error).__name__


def _event_id() -> str:
    return f"evt_{secrets.token_hex(12)}"


def _shown(at: float | None) -> str | None:
    return None if at is None else timestamp(at)
