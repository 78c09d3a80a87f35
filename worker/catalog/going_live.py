"""Images go live: the items show them from this transaction's commit on, and every hook is owed a message of it."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from worker.catalog.queries import hooks, live
from worker.catalog.queries.live import WentLive
from worker.catalog.rules.catalog import RenderState

ITEMS_PER_MESSAGE = 500
"""A message stays below a megabyte, whatever goes live at once."""


def go_live(
    tx: Connection,
    render_ids: Sequence[UUID],
    *,
    states: Sequence[RenderState],
    actor: str,
    reason: str,
    now: datetime,
    new_id: Callable[[], UUID],
) -> list[WentLive]:
    """Make each of these images live, as ``worker.catalog.queries.live`` says, and write what hooks are to be told."""
    changed = live.go_live(tx, render_ids, states=states, actor=actor, reason=reason, now=now, new_id=new_id)
    tell(tx, changed, actor=actor, reason=reason, now=now, new_id=new_id)
    return changed


def tell(
    tx: Connection,
    shown: Sequence[WentLive],
    *,
    actor: str,
    reason: str,
    now: datetime,
    new_id: Callable[[], UUID],
) -> None:
    """Owe every hook of their catalogs a message that these items show these images now."""
    told = hooks.receivers(tx, list({each.catalog_id for each in shown})) if shown else []
    about = {"event": "live", "at": now.isoformat(), "by": actor, "reason": reason}
    messages = [
        hooks.Message(id=new_id(), hook_id=each.hook_id, payload=about | {"catalog": each.catalog, "items": items})
        for each in told
        for items in _portions([one for one in shown if one.catalog_id == each.catalog_id])
    ]
    hooks.owe(tx, messages, now=now)


def _portions(changed: Sequence[WentLive]) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(changed), ITEMS_PER_MESSAGE):
        yield [_item(each) for each in changed[start : start + ITEMS_PER_MESSAGE]]


def _item(each: WentLive) -> dict[str, Any]:
    image = each.image
    return {
        "sku": each.sku,
        "file": image.path,
        "sha256": image.sha256,
        "mime_type": image.mime_type,
        "width": image.width,
        "height": image.height,
    }
