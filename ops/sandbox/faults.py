"""What goes wrong with the next request of a kind: by script first, else by a seeded draw."""

import random
import socket
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from ops.sandbox.choices import ONLY_CREATES, OUTCOMES, EdgeBody, Fault, Kind
from ops.sandbox.settings import EVERY_KIND, SettingsError

MAX_SCRIPT = 10_000


@dataclass(frozen=True, kw_only=True)
class Line:
    """One scripted fault: the nth request of a kind, counted from the start of the process."""

    on: Kind
    nth: int
    fault: Fault
    delay_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Draw:
    """What happens to one request, and to the generation that it may start."""

    exchange: Fault | None = None
    outcome: Fault | None = None
    delay_s: float | None = None


class Faults:
    """The dice and the script; each kind of request has dice of its own."""

    def __init__(self, seed: str) -> None:
        self._dice = {kind: random.Random(f"{seed}:{kind}") for kind in Kind}
        self._outcome_dice = random.Random(f"{seed}:outcome")
        self._arrived: Counter[Kind] = Counter()
        self._script: list[Line] = []
        self.happened: Counter[tuple[Kind, Fault]] = Counter()

    def draw(self, kind: Kind, odds: Mapping[str, Mapping[str, float]]) -> Draw:
        """The fate of a request that has just arrived."""
        self._arrived[kind] += 1
        rolled = _pick(self._dice[kind].random(), kind, odds, outcomes=False) if odds else None
        lines = self._due(kind) if self._script else []
        exchange = next((line for line in lines if line.fault not in OUTCOMES), None)
        outcome = next((line.fault for line in lines if line.fault in OUTCOMES), None)
        if exchange is None:
            return Draw(exchange=rolled, outcome=outcome)
        return Draw(exchange=exchange.fault, outcome=outcome, delay_s=exchange.delay_s)

    def outcome(self, odds: Mapping[str, Mapping[str, float]]) -> Fault | None:
        """The fate of a generation that is being created."""
        return _pick(self._outcome_dice.random(), Kind.CREATE, odds, outcomes=True) if odds else None

    def plan(self, lines: object) -> None:
        """The lines are appended to the script, each `nth` counted from now; raises SettingsError."""
        if not isinstance(lines, list) or len(lines) > MAX_SCRIPT:
            raise SettingsError("script", "not a list", '[{"on": "create", "nth": 1, "fault": "lost_reply"}]')
        self._script += [self._line(number, line) for number, line in enumerate(lines)]

    def forget(self) -> None:
        """The script is empty."""
        self._script.clear()

    def pending(self) -> list[dict[str, object]]:
        """The lines that have not happened yet, each `nth` counted from now."""
        return [
            {
                "on": line.on,
                "nth": line.nth - self._arrived[line.on],
                "fault": line.fault,
                "delay_s": line.delay_s,
            }
            for line in self._script
        ]

    def _due(self, kind: Kind) -> list[Line]:
        due = [line for line in self._script if line.on is kind and line.nth == self._arrived[kind]]
        self._script = [line for line in self._script if line not in due]
        return due

    def _line(self, number: int, line: object) -> Line:
        name = f"script[{number}]"
        if not isinstance(line, dict) or not {"on", "nth", "fault"} <= line.keys() <= {
            "on",
            "nth",
            "fault",
            "delay_s",
        }:
            raise SettingsError(name, "wrong keys", "on, nth, fault and, if wanted, delay_s")
        if line["on"] not in list(Kind) or line["fault"] not in list(Fault):
            raise SettingsError(name, "unknown kind or fault", f"on: {', '.join(Kind)}; fault: {', '.join(Fault)}")
        if line["fault"] in ONLY_CREATES and line["on"] != Kind.CREATE:
            raise SettingsError(name, f"{line['fault']!r} happens to creates", "on: create")
        if isinstance(line["nth"], bool) or not isinstance(line["nth"], int) or line["nth"] < 1:
            raise SettingsError(name, f"nth {line['nth']!r}", "a whole number from 1, counted from now")
        kind = Kind(line["on"])
        nth = self._arrived[kind] + line["nth"]
        return Line(on=kind, nth=nth, fault=Fault(line["fault"]), delay_s=line.get("delay_s"))


def _pick(roll: float, kind: Kind, odds: Mapping[str, Mapping[str, float]], *, outcomes: bool) -> Fault | None:
    edge = 0.0
    for name, share in {**odds.get(EVERY_KIND, {}), **odds.get(kind, {})}.items():
        if (name in OUTCOMES) is outcomes:
            edge += share
            if roll < edge:
                return Fault(name)
    return None


_HTML_400 = b"<!DOCTYPE html><html><body><center><h1>400 Bad Request</h1></center><hr>proxy</body></html>"
_HTML_500 = b"<!DOCTYPE html><html><head><title>500</title></head><body><h1>Internal Server Error</h1></body></html>"
_HTML_503 = b"<!DOCTYPE html><html><body><center><h1>503 Service Temporarily Unavailable</h1></center></body></html>"
_HTML_504 = b"<!DOCTYPE html><html><body><center><h1>504 Gateway Time-out</h1></center></body></html>"
_JSON_503 = b'{"error":{"code":"service_overloaded","message":"Try again later.","requestId":"req_edge"}}'


def reset(request: web.Request) -> None:
    """The peer sees its connection reset."""
    transport = request.transport
    if transport is None:
        return
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is not None:
        # Lingering for 0 seconds makes the close a RST; transport.abort() alone would send a FIN.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def hang_up(request: web.Request) -> None:
    """The peer sees its connection closed without an answer."""
    if request.transport is not None:
        request.transport.close()


def html_400() -> web.Response:
    """A page from a proxy that takes the request for malformed."""
    return web.Response(body=_HTML_400, status=400, content_type="text/html")


def html_500() -> web.Response:
    """A page from the edge where JSON was promised."""
    return web.Response(body=_HTML_500, status=500, content_type="text/html")


def gateway_timeout() -> web.Response:
    """A page from the edge, which has stopped waiting for an answer."""
    return web.Response(body=_HTML_504, status=504, content_type="text/html")


def unavailable(body: EdgeBody) -> web.Response:
    """A 503 that did not come from the API itself."""
    match body:
        case EdgeBody.HTML:
            return web.Response(body=_HTML_503, status=503, content_type="text/html")
        case EdgeBody.JSON:
            return web.Response(body=_JSON_503, status=503, content_type="application/json")
        case EdgeBody.EMPTY:
            return web.Response(status=503)


def halved(response: web.StreamResponse) -> web.Response:
    """The same answer with the first half of its body, and a Content-Length that agrees."""
    body = _body(response)
    return web.Response(body=body[: len(body) // 2], status=response.status, content_type=response.content_type)


def garbled() -> web.Response:
    """A 200 whose body is not JSON."""
    return web.Response(body=b'{"id": "task_', content_type="application/json")


async def cut_short(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Half of the body is sent under a Content-Length for all of it, then the connection is closed."""
    body = _body(response)
    partial = web.StreamResponse(status=response.status)
    partial.content_type = response.content_type
    partial.content_length = len(body)
    await partial.prepare(request)
    await partial.write(body[: len(body) // 2])
    hang_up(request)
    return partial


def _body(response: web.StreamResponse) -> bytes:
    body = response.body if isinstance(response, web.Response) else b""
    return body if isinstance(body, bytes) else b""
