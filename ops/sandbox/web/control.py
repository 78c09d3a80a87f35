"""The sandbox's own pages: books, settings, script, wallet, keys, clock."""

import json
from dataclasses import replace
from itertools import islice
from typing import Any

from aiohttp import web

from ops.sandbox import books
from ops.sandbox.keys import SCOPES, ApiKey, KeyState, new_key
from ops.sandbox.settings import SettingsError
from ops.sandbox.web import files
from ops.sandbox.web.errors import answer, refused
from ops.sandbox.world import MAIN_ACCOUNT, WORLD, World


async def show_sign(_: web.Request) -> web.StreamResponse:
    """What proves that this is a sandbox, where nothing costs money; needs no key."""
    return answer({"object": "darkroom.sandbox"})


async def show_books(request: web.Request) -> web.StreamResponse:
    """The books; `?tasks=1` with each generation (`offset`, `limit`), `?keys=1` with each Idempotency-Key."""
    world = request.app[WORLD]
    data = _books(world, world.advance())
    if request.query.get("keys"):
        data["tasks_per_key"] = books.tasks_per_key(world.tasks)
    if request.query.get("tasks"):
        data["task_list"] = _task_list(world, request)
    return answer(data)


def _books(world: World, now: float) -> dict[str, Any]:
    counts, wallet = world.counting.total, world.wallets[world.main_key.account]
    requests = books.request_summary(counts)
    happened: dict[str, dict[str, int]] = {}
    for (kind, fault), count in world.faults.happened.items():
        happened.setdefault(kind, {})[fault] = count
    return {
        "at": now,
        "tasks": books.task_summary(world.tasks, now),
        "keys": books.key_summary(world.tasks),
        "wallet": wallet.as_json(),
        "wallets": {account: one.as_json() for account, one in world.wallets.items()},
        "requests": requests,
        "throttled": sum(by.get("429", 0) for by in requests.values()),
        "replays": counts.replays,
        "conflicts": counts.conflicts,
        "faults": happened,
        "polls": books.poll_summary(world.tasks, counts),
        "uploads": {
            "total": counts.uploads.total(),
            "distinct": len(counts.uploads),
            "by_sha256": counts.uploads,
        },
        "downloads": {"total": counts.downloads.total(), "tasks": len(counts.downloads)},
    }


def _task_list(world: World, request: web.Request) -> list[dict[str, object]]:
    offset, limit = _whole(request, "offset", 0), _whole(request, "limit", len(world.tasks))
    counts, now = world.counting.total, world.now()
    return [books.task_row(task, counts, now) for task in islice(world.tasks.values(), offset, offset + limit)]


def _whole(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isdecimal():
        raise SettingsError(name, f"{text!r} is not usable", "a whole number of at least 0")
    return int(text)


async def show_settings(request: web.Request) -> web.StreamResponse:
    """All settings as they are now."""
    return answer(request.app[WORLD].settings.as_json())


async def change_settings(request: web.Request) -> web.StreamResponse:
    """PATCH changes some settings, PUT sets those that it does not name to their defaults."""
    world = request.app[WORLD]
    world.change_settings(await _object(request), anew=request.method == "PUT")
    return answer(world.settings.as_json())


async def show_script(request: web.Request) -> web.StreamResponse:
    """The scripted faults that have not happened yet."""
    return answer(request.app[WORLD].faults.pending())


async def add_to_script(request: web.Request) -> web.StreamResponse:
    """More scripted faults, each counted from now."""
    faults = request.app[WORLD].faults
    faults.plan(await _json(request))
    return answer(faults.pending())


async def clear_script(request: web.Request) -> web.StreamResponse:
    """No more scripted faults."""
    request.app[WORLD].faults.forget()
    return answer([])


async def change_wallet(request: web.Request) -> web.StreamResponse:
    """`{"add": n}` puts credits in, or takes out what is there; `{"set": n}` makes n available, also below zero."""
    world, data = request.app[WORLD], await _object(request)
    world.advance()
    account = str(data.get("account", world.main_key.account))
    if account not in world.wallets:
        raise SettingsError("account", f"no account {account!r}", ", ".join(world.wallets))
    amounts = {name: data[name] for name in ("add", "set") if name in data}
    if len(amounts) != 1 or not all(type(amount) is int for amount in amounts.values()):
        raise SettingsError("wallet", "needs one amount", '{"add": n} or {"set": n}')
    available = world.wallets[account].available
    world.add_credits(account, max(data["add"], -max(0, available)) if "add" in data else data["set"] - available)
    return answer(world.wallets[account].as_json())


async def add_key(request: web.Request) -> web.StreamResponse:
    """One more key, of the main account or of `account`, which is opened if it is new; `scopes` as wanted.

    With `reuse` it is the account's first key if it has one.
    """
    world, data = request.app[WORLD], await _object(request)
    if data.get("reuse") and (known := _first_key(world, str(data.get("account", MAIN_ACCOUNT)))) is not None:
        return answer({"api_key": known.secret, "account": known.account, "scopes": known.scopes})
    key = new_key(str(data.get("account", MAIN_ACCOUNT)), scopes=_scopes(data.get("scopes", list(SCOPES))))
    world.add_key(key)
    return answer({"api_key": key.secret, "account": key.account, "scopes": key.scopes}, status=201)


def _first_key(world: World, account: str) -> ApiKey | None:
    return next((key for key in world.keys.values() if key.account == account), None)


async def use_hooks(request: web.Request) -> web.StreamResponse:
    """`revoke_key`, `expire_key` (true or false), `scopes` of the main key or of `key`; `api_disabled`."""
    world, data = request.app[WORLD], await _object(request)
    unknown = data.keys() - {"key", "revoke_key", "expire_key", "scopes", "api_disabled"}
    if unknown:
        raise SettingsError("hooks", f"unknown: {sorted(unknown)}", "key, revoke_key, expire_key, scopes, api_disabled")
    secret = data.get("key", world.main_secret)
    if secret not in world.keys:
        raise SettingsError("key", "no such key", "a key that the sandbox gave out")
    key = _changed_key(world.keys[secret], data)
    world.put_key(key)
    if "api_disabled" in data:
        world.change_settings({"api_disabled": data["api_disabled"]}, anew=False)
    return answer({"state": key.state, "scopes": key.scopes, "api_disabled": world.settings.api_disabled})


async def move_clock(request: web.Request) -> web.StreamResponse:
    """`{"advance_s": n}` moves the sandbox's clock forward."""
    world, seconds = request.app[WORLD], (await _object(request)).get("advance_s")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
        raise SettingsError("advance_s", f"{seconds!r} is not usable", "a number of at least 0")
    world.move_clock(float(seconds))
    return answer({"now": world.advance()})


async def show_upload(request: web.Request) -> web.StreamResponse:
    """The bytes of an upload."""
    return await files.content(request, request.app[WORLD])


def _changed_key(key: ApiKey, data: dict[str, Any]) -> ApiKey:
    for name, state in (("revoke_key", KeyState.REVOKED), ("expire_key", KeyState.EXPIRED)):
        if name in data:
            key = replace(key, state=state if data[name] else KeyState.ACTIVE)
    return replace(key, scopes=_scopes(data["scopes"])) if "scopes" in data else key


def _scopes(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not set(value) <= set(SCOPES):
        raise SettingsError("scopes", f"{value!r} is not usable", f"a list of: {', '.join(SCOPES)}")
    return tuple(value)


async def _object(request: web.Request) -> dict[str, Any]:
    data = await _json(request)
    if not isinstance(data, dict):
        raise refused("The body must be a JSON object.")
    return data


async def _json(request: web.Request) -> Any:
    try:
        return json.loads(await request.read())
    except ValueError:
        raise refused("The body is not valid JSON.") from None
