"""A world as its journal left it."""

from pathlib import Path
from typing import Any

from ops.sandbox.books import counts_from
from ops.sandbox.journal import Journal, NoJournal
from ops.sandbox.keys import ApiKey, KeyState, new_key
from ops.sandbox.settings import Settings
from ops.sandbox.tasks import Task
from ops.sandbox.uploads import Blobs, StoredFile
from ops.sandbox.wallet import Wallet
from ops.sandbox.web.errors import ApiError
from ops.sandbox.webhooks import Endpoint
from ops.sandbox.world import MAIN_ACCOUNT, World


def open_world(settings: Settings, state: Path | None, secret: str | None = None) -> World:
    """A world in memory, or the one kept in `state`; its main account has a key, `secret` if given."""
    journal = Journal(state) if state else NoJournal()
    world = World(settings, journal, Blobs(state / "files" if state else None))
    boots = _replay(world, journal)
    world.reseed(boots)
    journal.write("boot", {})
    world.main_secret = secret or next(iter(world.keys), "")
    if world.main_secret not in world.keys:
        key = new_key(MAIN_ACCOUNT, secret)
        world.main_secret = key.secret
        world.add_key(key)
    return world


def _replay(world: World, journal: Journal) -> int:
    boots = 0
    for event, data in journal.read():
        if event == "boot":
            boots += 1
        else:
            _apply(world, event, data)
    return boots


def _apply(world: World, event: str, data: dict[str, Any]) -> None:
    match event:
        case "key":
            key = ApiKey(**{**data, "scopes": tuple(data["scopes"]), "state": KeyState(data["state"])})
            world.keys[key.secret] = key
        case "credits":
            world.wallets.setdefault(data["account"], Wallet()).add(data["amount"])
        case "file":
            world.files[data["id"]] = StoredFile(**data)
        case "task":
            world.put_task(Task(**data["task"]), tuple(data["slot"]) if data["slot"] else None)
        case "burn":
            refusal = ApiError(**data["refusal"])
            world.idempotency.burn(tuple(data["slot"]), data["fingerprint"], data["at"], refusal)
        case "endpoint":
            world.endpoints[data["id"]] = Endpoint(**data)
        case "endpoint_dropped":
            world.endpoints.pop(data["id"], None)
        case "clock":
            world.clock_offset_s = data["offset_s"]
        case "counts":
            world.counting.restore(counts_from(data))
        case _:
            raise ValueError(f"the journal has an unknown event {event!r}: it is from another version")
