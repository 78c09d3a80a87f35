"""The endpoints with which webhooks are managed."""

import json
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from ops.sandbox.keys import ApiKey
from ops.sandbox.web.errors import ApiError, answer, not_found, refused
from ops.sandbox.webhooks import EVENT_TYPES, Endpoint, new_endpoint, new_secret
from ops.sandbox.world import World


async def answered(world: World, request: web.Request, caller: ApiKey) -> web.Response:
    """The answer to a request about webhooks; raises ApiError."""
    if request.path.endswith("/webhook-events"):
        return answer({"object": "list", "data": [each.view() for each in _deliveries(world, caller)]})
    parts = request.match_info["rest"].strip("/").split("/")
    match (request.method, *parts):
        case ("POST", ""):
            return await _add(world, request, caller)
        case ("GET", ""):
            mine = [each.view() for each in world.endpoints.values() if each.account == caller.account]
            return answer({"object": "list", "data": mine})
        case (method, id_, *action):
            return await _about(world, request, _of(world, caller, id_), (method, *action))
        case _:
            raise not_found("The page")


async def _about(world: World, request: web.Request, endpoint: Endpoint, what: tuple[str, ...]) -> web.Response:
    match what:
        case ("GET",):
            return answer(endpoint.view())
        case ("PATCH",):
            return await _change(world, request, endpoint)
        case ("DELETE",):
            world.drop_endpoint(endpoint)
            return answer({"id": endpoint.id, "object": "webhook_endpoint", "deleted": True})
        case ("POST", "rotate-secret"):
            endpoint.secret, endpoint.updated_at = new_secret(), world.now()
            world.put_endpoint(endpoint)
            return answer(endpoint.view(with_secret=True))
        case ("POST", "test"):
            return answer(world.sender.plan_test(endpoint).view())
        case ("GET", "deliveries"):
            sent = [each.view() for each in world.sender.deliveries if each.endpoint.id == endpoint.id]
            return answer({"object": "list", "data": sent})
        case _:
            raise not_found("The page")


async def _add(world: World, request: web.Request, caller: ApiKey) -> web.Response:
    data = await _object(request)
    endpoint = new_endpoint(
        account=caller.account,
        name=_text(data, "name"),
        url=_url(world, _text(data, "url")),
        event_types=_types(data.get("event_types")),
        now=world.now(),
    )
    world.put_endpoint(endpoint)
    return answer(endpoint.view(with_secret=True))


async def _change(world: World, request: web.Request, endpoint: Endpoint) -> web.Response:
    data = await _object(request)
    if "name" in data:
        endpoint.name = _text(data, "name")
    if "url" in data:
        endpoint.url = _url(world, _text(data, "url"))
    if "event_types" in data:
        endpoint.event_types = _types(data["event_types"])
    endpoint.updated_at = world.now()
    world.put_endpoint(endpoint)
    return answer(endpoint.view())


def _of(world: World, caller: ApiKey, id_: str) -> Endpoint:
    endpoint = world.endpoints.get(id_)
    if endpoint is None or endpoint.account != caller.account:
        raise not_found("The webhook endpoint")
    return endpoint


def _deliveries(world: World, caller: ApiKey) -> list[Any]:
    return [each for each in world.sender.deliveries if each.endpoint.account == caller.account]


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        data = json.loads(await request.read())
    except ValueError:
        raise refused("The body is not valid JSON.") from None
    if not isinstance(data, dict):
        raise refused("The body must be a JSON object.")
    return data


def _text(data: dict[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value:
        raise refused(f"{name} must be a text.")
    return value


def _types(value: object) -> list[str]:
    if not isinstance(value, list) or not value or not set(value) <= set(EVENT_TYPES):
        raise refused(f"event_types must be some of: {', '.join(EVENT_TYPES)}.")
    return value


def _url(world: World, url: str) -> str:
    """The URL if the documented rules permit it; the settings may permit this machine's."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if world.settings.webhook_loopback and parts.scheme in {"http", "https"} and _is_loopback(host):
        return url
    if parts.scheme != "https" or parts.username is not None or parts.fragment or not _is_public(host):
        raise ApiError(400, "webhook_url_rejected", "The webhook URL is not allowed.")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_public(host: str) -> bool:
    try:
        return ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith((".localhost", ".local", ".internal"))
