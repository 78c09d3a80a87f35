"""Breaking an exchange on purpose: connections that are cut, and answers that nobody can read."""

import socket
import struct

from aiohttp import web

from ops.sandbox.choices import EdgeBody

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
