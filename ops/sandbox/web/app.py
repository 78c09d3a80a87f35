"""The sandbox as a web application: which path goes where."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from ops.sandbox.choices import Kind
from ops.sandbox.settings import SettingsError
from ops.sandbox.web import control
from ops.sandbox.web.errors import ApiError, answer
from ops.sandbox.web.exchange import exchange
from ops.sandbox.world import WORLD, World

_API = "/api/v1"
_MAX_JSON_BYTES = 4 * 2**20
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(world: World) -> web.Application:
    """The provider's endpoints, the result images, and the sandbox's own pages."""
    app = web.Application(client_max_size=_MAX_JSON_BYTES, middlewares=[_explained])
    app[WORLD] = world
    app.cleanup_ctx.append(world.sender.running)
    app.add_routes(
        [
            web.post(f"{_API}/generations", _of_kind(Kind.CREATE)),
            web.get(f"{_API}/generations/{{id}}", _of_kind(Kind.GET)),
            web.post(f"{_API}/files", _of_kind(Kind.UPLOAD)),
            web.get(f"{_API}/files/{{id}}", _of_kind(Kind.FILE)),
            web.get(f"{_API}/credits", _of_kind(Kind.CREDITS)),
            web.get(f"{_API}/models", _of_kind(Kind.MODELS)),
            web.route("*", f"{_API}/webhooks{{rest:(/.*)?}}", _of_kind(Kind.WEBHOOKS)),
            web.get(f"{_API}/webhook-events", _of_kind(Kind.WEBHOOKS)),
            web.get("/sandbox/results/{name}", _of_kind(Kind.DOWNLOAD)),
            *_own_pages(),
            web.route("*", "/{rest:.*}", _of_kind(Kind.OTHER)),
        ]
    )
    return app


def _own_pages() -> list[web.RouteDef]:
    return [
        web.get("/sandbox", control.show_sign),
        web.get("/sandbox/uploads/{name}", control.show_upload),
        web.get("/sandbox/books", control.show_books),
        web.get("/sandbox/settings", control.show_settings),
        web.put("/sandbox/settings", control.change_settings),
        web.patch("/sandbox/settings", control.change_settings),
        web.get("/sandbox/script", control.show_script),
        web.post("/sandbox/script", control.add_to_script),
        web.delete("/sandbox/script", control.clear_script),
        web.post("/sandbox/wallet", control.change_wallet),
        web.post("/sandbox/keys", control.add_key),
        web.post("/sandbox/hooks", control.use_hooks),
        web.post("/sandbox/clock", control.move_clock),
    ]


def _of_kind(kind: Kind) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await exchange(request.app[WORLD], request, kind)

    return handle


@web.middleware
async def _explained(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as refusal:
        return refusal.response()
    except SettingsError as fault:
        return answer({"error": {"code": "sandbox_setting", "message": str(fault)}}, status=400)
