"""Who is calling, and whether they may."""

from aiohttp import web

from ops.sandbox.choices import Kind
from ops.sandbox.keys import PREFIX, ApiKey, KeyState
from ops.sandbox.web.errors import ApiError
from ops.sandbox.world import World

_SCOPES = {
    Kind.CREATE: "generations:create",
    Kind.GET: "generations:read",
    Kind.UPLOAD: "files:create",
    Kind.FILE: "files:read",
    Kind.CREDITS: "credits:read",
    Kind.WEBHOOKS: "webhooks:manage",
}


def admit(world: World, request: web.Request, kind: Kind) -> ApiKey | None:
    """The caller's key, None for what is public; raises ApiError in the documented order."""
    if world.settings.api_disabled and kind is not Kind.DOWNLOAD:
        raise ApiError(503, "public_api_disabled", "The public API is disabled for now.")
    if not _needs_key(world, kind):
        return None
    key = _verified(world, request)
    if kind in _SCOPES and _SCOPES[kind] not in key.scopes:
        raise ApiError(403, "api_scope_denied", f"The API key lacks the scope {_SCOPES[kind]}.")
    return key


def _needs_key(world: World, kind: Kind) -> bool:
    if kind is Kind.DOWNLOAD:
        return world.settings.result_needs_key
    return kind is not Kind.MODELS


def _verified(world: World, request: web.Request) -> ApiKey:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret:
        raise ApiError(401, "api_key_missing", "Send the API key as: Authorization: Bearer rvya_sk_...")
    key = world.keys.get(secret)
    if key is None or not secret.startswith(PREFIX):
        raise ApiError(401, "api_key_invalid", "The API key could not be verified.")
    match key.state:
        case KeyState.REVOKED:
            raise ApiError(401, "api_key_revoked", "The API key was revoked.")
        case KeyState.EXPIRED:
            raise ApiError(401, "api_key_expired", "The API key has expired.")
        case KeyState.ACTIVE:
            return key
