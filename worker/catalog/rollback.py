"""An image that was live before is live again, without a credit spent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from worker.catalog.going_live import go_live
from worker.catalog.queries import catalogs, history, renders, review
from worker.catalog.queries.history import Then
from worker.catalog.rules.catalog import RenderState
from worker.core.db.session import Database
from worker.core.rules.fault import plain
from worker.storage.store import Store


class CannotRollBack(Exception):
    """There is nothing like that to go back to; nothing was changed."""


@dataclass(frozen=True, kw_only=True)
class RolledBack:
    """What going back did, by SKU."""

    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    """They show that image already."""
    without: tuple[str, ...]
    """They showed nothing at that instant, and keep what they show."""
    lost: tuple[str, ...] = ()
    """The store no longer has that image; they keep what they show."""


def roll_back(
    database: Database,
    store: Store,
    catalog_id: UUID,
    *,
    to: UUID | datetime,
    skus: Sequence[str] | None,
    by: str,
    now: datetime,
    new_id: Callable[[], UUID],
) -> RolledBack:
    """Show an older image again: one by its id, or what the items showed at an instant; None stands for all items.

    Until an item's content changes, plans keep what was brought back, and images that were on their way already wait
    for a person. Raises CannotRollBack.
    """
    lost = _lost(database, store, catalog_id, to, skus, now)
    with database.transaction() as tx:
        catalogs.lock_only(tx, catalog_id)
        _check(tx, catalog_id, skus)
        found = _targets(tx, catalog_id, to, skus, now)
        changed = go_live(
            tx,
            [each.render_id for each in found if each.render_id and each.render_id not in {each.live_render_id, *lost}],
            states=[RenderState.SUPERSEDED],
            actor=by,
            reason=f"rolled back to {to if isinstance(to, UUID) else to.isoformat()}",
            now=now,
            new_id=new_id,
        )
        # What is under way for them was asked for before somebody disliked what it is made from.
        renders.hold_back(tx, [each.item_id for each in found if each.render_id])
    return RolledBack(
        changed=tuple(each.sku for each in changed),
        unchanged=tuple(each.sku for each in found if each.render_id == each.live_render_id),
        without=tuple(each.sku for each in found if each.render_id is None and each.live_render_id is not None),
        lost=tuple(each.sku for each in found if each.render_id in lost and each.render_id != each.live_render_id),
    )


def _lost(
    database: Database, store: Store, catalog_id: UUID, to: UUID | datetime, skus: Sequence[str] | None, now: datetime
) -> set[UUID]:
    """Return the images to go back to that are not in the store; it is asked with no transaction open."""
    with database.transaction() as tx:
        _check(tx, catalog_id, skus)
        found = _targets(tx, catalog_id, to, skus, now)
        standings = review.standings(
            tx, [each.render_id for each in found if each.render_id and each.render_id != each.live_render_id]
        )
    return {each.render_id for each in standings.values() if each.path is None or not store.exists(each.path)}


def _check(tx: Connection, catalog_id: UUID, skus: Sequence[str] | None) -> None:
    missing = [] if skus is None else history.unknown(tx, catalog_id, skus)
    if missing:
        raise CannotRollBack(f"the catalog has no item {', '.join(map(plain, missing[:10]))}")


def _targets(
    tx: Connection, catalog_id: UUID, to: UUID | datetime, skus: Sequence[str] | None, now: datetime
) -> list[Then]:
    if isinstance(to, datetime):
        if to > now:
            raise CannotRollBack(f"{to.isoformat()} is yet to come")
        return history.at(tx, catalog_id, to, skus)
    found = history.with_render(tx, catalog_id, to)
    if found is None:
        raise CannotRollBack(f"image {to} was never live in this catalog: `darkroom catalog history` lists those")
    if skus is not None and list(skus) != [found.sku]:
        raise CannotRollBack(f"image {to} is one of {plain(found.sku)}, and not of another item")
    return [found]
