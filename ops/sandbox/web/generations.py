"""Creating generations and telling their state."""

import asyncio
import hashlib
import secrets
from dataclasses import dataclass

from aiohttp import web

from ops.sandbox import outcomes
from ops.sandbox.choices import BurnsKey, Fault, InFlight, ReplayAnswer
from ops.sandbox.faults import Draw
from ops.sandbox.idempotency import Record, Slot, fingerprint_of, slot_of
from ops.sandbox.keys import ApiKey
from ops.sandbox.tasks import Task, created_view, view
from ops.sandbox.web.create_body import Order, order_from
from ops.sandbox.web.errors import ApiError, answer, not_found, refused
from ops.sandbox.world import World


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One create as it arrived; `slot` is where its Idempotency-Key is looked up, if it has one."""

    caller: ApiKey
    body: bytes
    fate: Fault | None
    slot: Slot | None
    fingerprint: str


async def create(world: World, request: web.Request, caller: ApiKey, fate: Fault | None) -> web.Response:
    """One new generation, or the one that the Idempotency-Key stands for; raises ApiError."""
    attempt = await _attempt(world, request, caller, fate)
    if attempt.slot is None:
        return await _created(world, attempt)
    while record := world.idempotency.find(attempt.slot, world.now(), world.settings.idempotency_window_s):
        _check_same(world, record, attempt.fingerprint)
        if not record.is_in_flight:
            return _replayed(world, record)
        await record.done.wait()
    return await _created_under_key(world, attempt, attempt.slot)


async def burn(world: World, request: web.Request, caller: ApiKey, refusal: ApiError) -> None:
    """A refusal that came before any work uses the key up, unless the key is known or there is none."""
    attempt = await _attempt(world, request, caller, None)
    slot, window_s = attempt.slot, world.settings.idempotency_window_s
    if slot and world.idempotency.find(slot, world.now(), window_s) is None:
        world.burn_key(slot, attempt.fingerprint, refusal)


async def deliver_late(world: World, request: web.Request, caller: ApiKey, draw: Draw) -> None:
    """The create reaches the API `late_s` (or `delay_s`) from now, when its caller no longer waits."""
    attempt = await _attempt(world, request, caller, draw.outcome)
    delay_s = world.settings.late_s if draw.delay_s is None else draw.delay_s
    world.plan(delay_s, lambda: _arrive(world, attempt))


def get(world: World, task_id: str, caller: ApiKey) -> web.Response:
    """The state of a generation of the caller's account; raises ApiError."""
    task, now = world.tasks.get(task_id), world.now()
    if task is None or task.account != caller.account:
        raise not_found("The generation")
    if now - task.created_at < world.settings.not_found_after_create_s:
        raise not_found("The generation")
    world.counting.polled(task, now)
    return answer(_view_now(world, task))


async def _attempt(world: World, request: web.Request, caller: ApiKey, fate: Fault | None) -> Attempt:
    if request.content_type != "application/json":
        raise refused("Content-Type must be application/json.")
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise refused("The body is too large.") from None
    key = request.headers.get("Idempotency-Key")
    slot = None if key is None else slot_of(key, caller, world.settings)
    fingerprint = fingerprint_of(body, world.settings) if slot else ""
    return Attempt(caller=caller, body=body, fate=fate, slot=slot, fingerprint=fingerprint)


def _arrive(world: World, attempt: Attempt) -> None:
    """A late create meets the rules of its key as they are by now; whatever it is answered is lost."""
    slot, window_s = attempt.slot, world.settings.idempotency_window_s
    known = slot and world.idempotency.find(slot, world.now(), window_s)
    try:
        if not known:
            _carry_out(world, attempt)
        elif not known.is_in_flight:
            _check_same(world, known, attempt.fingerprint)
            _replayed(world, known)
    except ApiError:
        return


def _check_same(world: World, record: Record, fingerprint: str) -> None:
    conflict = None
    if record.fingerprint != fingerprint:
        conflict = "The Idempotency-Key was used for a different request."
    elif record.is_in_flight and world.settings.idempotency_in_flight is InFlight.CONFLICT:
        conflict = "The first request with this Idempotency-Key is still in progress."
    if conflict:
        world.counting.conflicted()
        raise ApiError(409, "idempotency_conflict", conflict)


def _replayed(world: World, record: Record) -> web.Response:
    world.counting.replayed()
    if record.refusal or record.task_id is None:
        raise record.refusal or not_found("The generation")
    settings, task = world.settings, world.tasks[record.task_id]
    is_snapshot = settings.idempotency_replay is ReplayAnswer.SNAPSHOT
    data = created_view(task, settings) if is_snapshot else _view_now(world, task)
    headers = {settings.idempotency_replay_header: "true"} if settings.idempotency_replay_header else {}
    return answer(data, status=settings.idempotency_replay_status or settings.create_status, headers=headers)


def _view_now(world: World, task: Task) -> dict[str, object]:
    return view(task, world.now(), base_url=world.base_url, settings=world.settings)


async def _created_under_key(world: World, attempt: Attempt, slot: Slot) -> web.Response:
    world.idempotency.claim(slot, attempt.fingerprint, world.now())
    try:
        return await _created(world, attempt)
    except ApiError as refusal:
        if world.settings.idempotency_burns is BurnsKey.NOTHING:
            world.idempotency.release(slot)
        else:
            world.burn_key(slot, attempt.fingerprint, refusal)
        raise
    except BaseException:
        world.idempotency.release(slot)
        raise


async def _created(world: World, attempt: Attempt) -> web.Response:
    await asyncio.sleep(world.settings.create_takes_s)
    world.advance()
    return answer(created_view(_carry_out(world, attempt), world.settings), status=world.settings.create_status)


def _carry_out(world: World, attempt: Attempt) -> Task:
    order = order_from(attempt.body, world, attempt.caller)
    terms = outcomes.terms(world, order.model.credits, attempt.caller.account, order.prompt, attempt.fate)
    task = _task(world, order, attempt, terms)
    world.add_task(task, attempt.slot)
    return task


def _task(world: World, order: Order, attempt: Attempt, terms: outcomes.Terms) -> Task:
    now = world.now()
    ends_at = None if terms.ends_s is None else now + terms.ends_s
    width, height = order.model.pixels(order.params)
    return Task(
        id=f"task_{secrets.token_hex(12)}",
        account=attempt.caller.account,
        key_id=attempt.caller.id,
        model=order.model.id,
        prompt=order.prompt,
        width=width,
        height=height,
        format=order.model.image_format(order.params),
        reference=order.reference,
        client_request_id=order.client_request_id,
        idempotency_key=attempt.slot[1] if attempt.slot else None,
        fingerprint=attempt.fingerprint,
        body_sha256=hashlib.sha256(attempt.body).hexdigest(),
        reserved=terms.reserved,
        held=terms.held,
        final=terms.final,
        error=terms.error,
        failed_at_create=terms.failed_at_create,
        created_at=now,
        started_at=now + terms.queued_s,
        ends_at=ends_at,
        refund_at=None if ends_at is None else ends_at + world.settings.refund_after_s,
    )
