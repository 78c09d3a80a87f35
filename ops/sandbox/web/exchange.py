"""One request from its arrival to its end: fault, limit, key, work, answer, and the count of it."""

import asyncio

from aiohttp import web

from ops.sandbox import faults, models
from ops.sandbox.choices import BurnsKey, Fault, Kind
from ops.sandbox.faults import Draw
from ops.sandbox.keys import ApiKey
from ops.sandbox.web import auth, files, generations, results, throttling, webhook_endpoints
from ops.sandbox.web.errors import ApiError, answer, not_found
from ops.sandbox.world import World


async def exchange(world: World, request: web.Request, kind: Kind) -> web.StreamResponse:
    """The answer to one request, with whatever the dice or the script have for it."""
    world.advance()
    draw = world.faults.draw(kind, world.settings.faults)
    early = _before(world, request, draw)
    if early is not None:
        return _counted(world, kind, early, draw.exchange)
    try:
        response = await _processed(world, request, kind, draw)
    except ApiError as refusal:
        response = refusal.response()
    world.advance()
    return _counted(world, kind, await _after(world, request, response, draw), draw.exchange)


def _before(world: World, request: web.Request, draw: Draw) -> web.Response | None:
    match draw.exchange:
        case Fault.RESET_BEFORE:
            faults.reset(request)
            return web.Response()
        case Fault.HTTP_400_HTML:
            return faults.html_400()
        case Fault.HTTP_500_HTML:
            return faults.html_500()
        case Fault.HTTP_503:
            return faults.unavailable(world.settings.edge_503_body)
        case Fault.MALFORMED_JSON_UNPROCESSED:
            return faults.garbled()
        case _:
            return None


async def _processed(world: World, request: web.Request, kind: Kind, draw: Draw) -> web.StreamResponse:
    caller = auth.admit(world, request, kind)
    if kind is Kind.DOWNLOAD:
        throttling.refuse_if_throttled(world, draw.exchange)
        return await results.download(world, request, draw.exchange)
    try:
        throttling.refuse_if_throttled(world, draw.exchange)
        headers = throttling.take(world, caller, kind)
    except ApiError as refusal:
        await _burn_if_so_set(world, request, kind, caller, refusal)
        raise
    if draw.exchange is Fault.LATE_CREATE and kind is Kind.CREATE and caller:
        await generations.deliver_late(world, request, caller, draw)
        return faults.gateway_timeout()
    response = await _worked(world, request, kind, caller, draw)
    response.headers.update(headers)
    return response


async def _worked(  # noqa: PLR0911 - one for each kind
    world: World, request: web.Request, kind: Kind, caller: ApiKey | None, draw: Draw
) -> web.StreamResponse:
    if kind is Kind.MODELS:
        return answer(models.listing(world.settings.extra_models, world.settings.model_status))
    if caller is None:
        raise not_found("The page")
    match kind:
        case Kind.CREATE:
            return await generations.create(world, request, caller, draw.outcome)
        case Kind.GET:
            return generations.get(world, request.match_info["id"], caller)
        case Kind.UPLOAD:
            return await files.upload(world, request, caller)
        case Kind.FILE:
            return files.get(world, request.match_info["id"], caller)
        case Kind.WEBHOOKS:
            return await webhook_endpoints.answered(world, request, caller)
        case Kind.CREDITS:
            return answer({"current_credits": _balance(world, caller)})
        case _:
            raise not_found("The page")


def _balance(world: World, caller: ApiKey) -> int:
    excludes = world.settings.balance_excludes_reserved
    return world.wallets[caller.account].balance(excludes_reserved=excludes)


async def _burn_if_so_set(
    world: World, request: web.Request, kind: Kind, caller: ApiKey | None, refusal: ApiError
) -> None:
    burns = world.settings.idempotency_burns
    if kind is Kind.CREATE and caller and burns is BurnsKey.EVERYTHING:
        await generations.burn(world, request, caller, refusal)


async def _after(world: World, request: web.Request, response: web.StreamResponse, draw: Draw) -> web.StreamResponse:
    match draw.exchange:
        case Fault.SLOW:
            await asyncio.sleep(world.settings.slow_s if draw.delay_s is None else draw.delay_s)
        case Fault.LOST_REPLY:
            faults.hang_up(request)
        case Fault.RESET_AFTER:
            faults.reset(request)
        case Fault.HTTP_500_HTML_AFTER:
            return faults.html_500()
        case Fault.MALFORMED_JSON:
            return faults.halved(response)
        case Fault.TRUNCATED_DOWNLOAD:
            return await faults.cut_short(request, response)
        case _:
            pass
    return response


_WITHOUT_STATUS = {Fault.LOST_REPLY, Fault.RESET_BEFORE, Fault.RESET_AFTER}


def _counted(world: World, kind: Kind, response: web.StreamResponse, fault: Fault | None) -> web.StreamResponse:
    world.counting.answered(kind, str(fault) if fault in _WITHOUT_STATUS else str(response.status))
    if fault is not None:
        world.faults.happened[kind, fault] += 1
    return response
