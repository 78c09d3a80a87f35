"""Taking uploads in and telling what they are."""

import asyncio
import hashlib
import secrets

from aiohttp import web

from ops.sandbox.choices import FileKeys
from ops.sandbox.keys import ApiKey
from ops.sandbox.models import known
from ops.sandbox.settings import Settings
from ops.sandbox.tasks import timestamp
from ops.sandbox.uploads import ACCEPTED, EXTENSIONS, MAX_MB, StoredFile, detected_type, fits_extension
from ops.sandbox.web.create_body import UPLOADS_PATH
from ops.sandbox.web.errors import answer, not_found, refused
from ops.sandbox.web.upload_form import Form, form_from
from ops.sandbox.world import World


async def upload(world: World, request: web.Request, caller: ApiKey) -> web.Response:
    """One more file of the caller's account; raises ApiError."""
    form = await form_from(request, world.settings)
    type_ = _checked_type(world, form)
    sha256 = hashlib.sha256(form.data).hexdigest()
    world.counting.uploaded(sha256)
    stored = _known(world, sha256, caller) if world.settings.upload_dedupe else None
    if stored is None:
        await asyncio.to_thread(world.blobs.put, sha256, form.data)
        stored = _stored(world, form, type_, sha256, caller)
        world.add_file(stored)
    return answer(_view(world, stored), status=world.settings.file_status)


def get(world: World, file_id: str, caller: ApiKey) -> web.Response:
    """What is known about an upload of the caller's account; raises ApiError."""
    stored = world.files.get(file_id)
    if stored is None or stored.account != caller.account or stored.has_expired(world.now()):
        raise not_found("The file")
    return answer(_view(world, stored))


async def content(request: web.Request, world: World) -> web.Response:
    """The bytes of an upload, for any client that has its address."""
    stored = world.files.get(request.match_info["name"].partition(".")[0])
    if stored is None or stored.has_expired(world.now()):
        return not_found("The file").response()
    data = await asyncio.to_thread(world.blobs.get, stored.sha256)
    return web.Response(body=data, content_type=stored.type)


def _checked_type(world: World, form: Form) -> str:
    settings = world.settings
    limit_mb = MAX_MB[form.kind]
    if form.model is not None:
        limit_mb = _checked_model(form, settings)
    if form.is_oversize or len(form.data) > limit_mb * settings.megabyte:
        raise refused(f"file is larger than {limit_mb} MB.", status=settings.upload_oversize_status)
    if not form.data:
        raise refused("file is empty.")
    type_ = detected_type(form.data)
    if type_ is None or type_ not in ACCEPTED[form.kind]:
        shown = type_ or "of an unknown type"
        allowed = ", ".join(ACCEPTED[form.kind])
        raise refused(f"file is {shown}; {form.kind} takes {allowed}.", status=settings.upload_type_status)
    if settings.upload_extension_checked and not fits_extension(form.name, type_):
        raise refused(f"The name's extension does not fit the content, which is {type_}.")
    return type_


def _checked_model(form: Form, settings: Settings) -> int:
    model = known(settings.extra_models).get(form.model or "")
    if model is None:
        raise refused("model must be the id of an available model.")
    if model.references_max == 0 or form.kind != "image":
        raise refused(f"{model.id} takes no {form.kind} files.")
    return model.reference_mb


def _known(world: World, sha256: str, caller: ApiKey) -> StoredFile | None:
    now = world.now()
    same = (file for file in world.files.values() if file.sha256 == sha256 and file.account == caller.account)
    return next((file for file in same if not file.has_expired(now)), None)


def _stored(world: World, form: Form, type_: str, sha256: str, caller: ApiKey) -> StoredFile:
    now, ttl_s = world.now(), world.settings.upload_ttl_s
    return StoredFile(
        id=f"file_{secrets.token_hex(12)}",
        account=caller.account,
        kind=form.kind,
        name=form.name,
        type=type_,
        size_bytes=len(form.data),
        sha256=sha256,
        created_at=now,
        expires_at=now + ttl_s if ttl_s else None,
    )


def _view(world: World, stored: StoredFile) -> dict[str, object]:
    url = f"{world.base_url}{UPLOADS_PATH}{stored.id}.{EXTENSIONS[stored.type][0]}"
    if world.settings.file_keys is FileKeys.MINIMAL:
        return {"id": stored.id, "url": url}
    return {
        "id": stored.id,
        "url": url,
        "kind": stored.kind,
        "name": stored.name,
        "mime_type": stored.type,
        "size": stored.size_bytes,
        "duration_token": None if stored.kind == "image" else f"dur_{stored.sha256[:16]}",
        "created_at": timestamp(stored.created_at),
        "expires_at": timestamp(stored.expires_at) if stored.expires_at else None,
    }
