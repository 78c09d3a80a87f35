"""The images of a catalog that wait for a decision, as one page on which a person makes them."""

import os
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

from worker.db import catalog_review
from worker.db.catalog_review import Candidate, Shown
from worker.db.catalogs import CatalogRow
from worker.db.session import Database
from worker.domain.catalog import Reason
from worker.domain.model_spec import MODELS
from worker.media.store import NotStored, Store
from worker.sheet import ReviewCard, ReviewHeader, write_review


def write_sheet(
    database: Database,
    store: Store,
    catalog: CatalogRow,
    to: Path,
    *,
    now: datetime,
    new_id: Callable[[], UUID],
    note: str = "",
) -> int:
    """The sheet is at ``to``, whole; gives how many images it shows. Images that the store has lost are left blank."""
    with database.transaction() as tx:
        count = catalog_review.count(tx, catalog.id)
    header = ReviewHeader(
        catalog=catalog.name,
        sheet_id=str(new_id()),
        made_at=now,
        count=count,
        price=MODELS[catalog.recipe.model].credits,
        note=note,
    )
    cards = _cards(database, store, catalog.id, to.absolute().parent, count)
    write_review(to, header, cards)
    return count


def _cards(database: Database, store: Store, catalog_id: UUID, folder: Path, count: int) -> Iterator[ReviewCard]:
    """Give as many cards as the header says, also when more images come in meanwhile."""
    for _, each in zip(range(count), catalog_review.candidates(database, catalog_id), strict=False):
        yield _card(each, store, folder)


def _card(each: Candidate, store: Store, folder: Path) -> ReviewCard:
    live = each.live
    return ReviewCard(
        sku=each.sku,
        render_id=str(each.render_id),
        prompt=each.new.parts["prompt"],
        reasons=_reasons(each),
        width=each.new.width,
        height=each.new.height,
        new=_content(store, each.new),
        new_href=_href(store, each.new, folder),
        old=None if live is None else _content(store, live),
        old_prompt=None if live is None else live.parts["prompt"],
        old_href=None if live is None else _href(store, live, folder),
        live_since=each.live_since,
    )


_PARTS = {
    Reason.PROMPT: "prompt",
    Reason.REFERENCE: "reference",
    Reason.PARAMS: "params",
    Reason.MODEL: "model",
}


def _reasons(each: Candidate) -> list[str]:
    """Say what differs between the two images; made from the same, it was asked for once more."""
    live = each.live
    if live is None:
        return [Reason.NEW]
    found = [reason for reason, part in _PARTS.items() if live.parts[part] != each.new.parts[part]]
    return [str(reason) for reason in found] or ["once more"]


def _content(store: Store, image: Shown) -> bytes | None:
    try:
        return store.read(image.path)
    except NotStored:
        return None


def _href(store: Store, image: Shown, folder: Path) -> str:
    """Go the shortest way from the sheet, so that both can be moved together."""
    location = store.location(image.path)
    return location if "://" in location else quote(os.path.relpath(location, folder))
