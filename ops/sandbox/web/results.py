"""Handing out the image of a generation that succeeded."""

import asyncio

from aiohttp import web

from ops.sandbox import images
from ops.sandbox.choices import Fault, ResultForm, ResultType, Status
from ops.sandbox.tasks import Task
from ops.sandbox.web.errors import ApiError, not_found
from ops.sandbox.world import World

_WRONG_BY_PIXELS = 8


async def download(world: World, request: web.Request, fault: Fault | None) -> web.StreamResponse:
    """The image, drawn now; raises ApiError when there is none, or none any more."""
    name = request.match_info["name"]
    task = _finished(world, name)
    if world.settings.result_redirect and "direct" not in request.query:
        return web.Response(status=302, headers={"Location": f"{request.path}?direct=1"})
    form = world.settings.result_form
    data = await _image(world, task, _size(world, task, fault))
    if form is not ResultForm.ORDERED:
        data = await asyncio.to_thread(images.in_form, data, form)
    world.counting.downloaded(task)
    is_exact = world.settings.result_type is ResultType.EXACT
    response = web.Response(body=data, content_type=f"image/{task.format}" if is_exact else "application/octet-stream")
    if world.settings.result_chunked:
        response.enable_chunked_encoding()
    return response


def _finished(world: World, name: str) -> Task:
    now, settings = world.now(), world.settings
    task = world.tasks.get(name.partition(".")[0])
    if task is None or task.file_name != name or task.status(now) is not Status.SUCCEEDED:
        raise not_found("The result")
    age_s = now - (task.ends_at or now)
    if age_s < settings.result_ready_after_s:
        raise not_found("The result")
    if settings.result_ttl_s and age_s >= settings.result_ttl_s:
        raise ApiError(settings.result_gone_status, "not_found", "The result is no longer available.")
    return task


async def _image(world: World, task: Task, size: tuple[int, int]) -> bytes:
    if world.settings.plain_images:
        return images.plain(size, task.format)
    return await asyncio.to_thread(_drawn, world, task, size)


def _drawn(world: World, task: Task, size: tuple[int, int]) -> bytes:
    stored = world.files.get(task.reference or "")
    reference = world.blobs.get(stored.sha256) if stored else None
    return images.rendered(task.prompt, task.id, size, task.format, reference)


def _size(world: World, task: Task, fault: Fault | None) -> tuple[int, int]:
    if world.settings.result_pixels:
        return world.settings.result_pixels, world.settings.result_pixels
    less = _WRONG_BY_PIXELS if fault is Fault.WRONG_PIXELS else 0
    return task.width - less, task.height - less
