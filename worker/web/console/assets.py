"""Scripts and styles: files of this package, each under an address that names its content and is cached for ever."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
NAMES = (
    "console.css",
    "console.js",
    "icon.svg",
    "review.css",
    "review.js",
    "submit.js",
    "vendor/htmx.min.js",
    "vendor/hx-csp.min.js",
    "vendor/uPlot.iife.min.js",
    "vendor/uPlot.min.css",
)
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, kw_only=True)
class Asset:
    """One file, plain and compressed."""

    content: bytes
    compressed: bytes
    media_type: str
    digest: str
    """The first 16 hex digits of its SHA-256."""


@cache
def asset(name: str) -> Asset:
    """Return a file by its name; read once."""
    content = files("worker.web").joinpath("static", *name.split("/")).read_bytes()
    return Asset(
        content=content,
        compressed=gzip.compress(content, mtime=0),
        media_type=_TYPES[name.rpartition(".")[2]],
        digest=hashlib.sha256(content).hexdigest()[:16],
    )


def address(name: str) -> str:
    """Return the path of a file; another content has another path."""
    return f"/static/{asset(name).digest}/{name}"


def routes() -> list[BaseRoute]:
    """Return the route of the static files, which need no sign-in."""
    return [Route("/static/{digest}/{name:path}", _serve)]


async def _serve(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in NAMES or request.path_params["digest"] != asset(name).digest:
        return Response("not found", 404, media_type="text/plain")
    found = asset(name)
    headers = {"Cache-Control": _FOR_EVER, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found.compressed, headers={**headers, "Content-Encoding": "gzip"}, media_type=found.media_type)
    return Response(found.content, headers=headers, media_type=found.media_type)
