"""Publish images: results become candidates or live from this transaction's commit on; and export what is live."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from worker.catalog.queries import catalogs, renders, review
from worker.catalog.queries import live as queries_live
from worker.catalog.queries.live import LiveItem, PastImage, WentLive
from worker.catalog.queries.rejections import Listed
from worker.catalog.rules.catalog import ExportForm, RenderState
from worker.core.db import outbox
from worker.core.db.session import Database
from worker.core.output_files import csv_line
from worker.core.rules.errors import DarkroomError
from worker.core.rules.events import EventType
from worker.core.rules.fault import plain
from worker.storage.store import Store

ITEMS_PER_EVENT = 500
"""An event stays below a megabyte, whatever goes live at once."""


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
    """Make each of these images live, as ``worker.catalog.queries.live`` says, and write the events of it."""
    changed = queries_live.go_live(tx, render_ids, states=states, actor=actor, reason=reason, now=now, new_id=new_id)
    tell(tx, changed, actor=actor, reason=reason, now=now)
    return changed


def tell(
    tx: Connection,
    shown: Sequence[WentLive],
    *,
    actor: str,
    reason: str,
    now: datetime,
) -> None:
    """Write the events that these items show these images now, for each catalog whose hooks want them."""
    about = {"at": now.isoformat(), "by": actor, "reason": reason}
    for catalog_id in sorted({each.catalog_id for each in shown}):
        if not outbox.is_wanted(tx, EventType.IMAGE_LIVE, catalog_id=catalog_id):
            continue
        name = catalogs.name_of(tx, catalog_id)
        for items in _portions([each for each in shown if each.catalog_id == catalog_id]):
            outbox.emit(
                tx,
                EventType.IMAGE_LIVE,
                {"catalog": name, **about, "items": items},
                subject=f"catalog:{catalog_id}",
                catalog_id=catalog_id,
            )


def _portions(changed: Sequence[WentLive]) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(changed), ITEMS_PER_EVENT):
        yield [_item(each) for each in changed[start : start + ITEMS_PER_EVENT]]


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


class CannotRollBack(DarkroomError):
    """There is nothing like that to go back to; nothing was changed."""

    error_code = "nothing_to_roll_back_to"


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
    """Publish an older image again: one by its id, or what the items showed at an instant; None: all items.

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
        # What is under way for them was requested before a person rejected what it is made from.
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
        statuses = review.statuses(
            tx, [each.render_id for each in found if each.render_id and each.render_id != each.live_render_id]
        )
    return {each.render_id for each in statuses.values() if each.path is None or not store.exists(each.path)}


def _check(tx: Connection, catalog_id: UUID, skus: Sequence[str] | None) -> None:
    missing = [] if skus is None else queries_live.unknown_skus(tx, catalog_id, skus)
    if missing:
        raise CannotRollBack(f"the catalog has no item {', '.join(map(plain, missing[:10]))}")


def _targets(
    tx: Connection, catalog_id: UUID, to: UUID | datetime, skus: Sequence[str] | None, now: datetime
) -> list[PastImage]:
    if isinstance(to, datetime):
        if to > now:
            raise CannotRollBack(f"{to.isoformat()} is yet to come")
        return queries_live.live_at(tx, catalog_id, to, skus)
    found = queries_live.with_render(tx, catalog_id, to)
    if found is None:
        raise CannotRollBack(f"image {to} was never live in this catalog: `darkroom catalog history` lists those")
    if skus is not None and list(skus) != [found.sku]:
        raise CannotRollBack(f"image {to} is one of {plain(found.sku)}, and not of another item")
    return [found]


ACTOR = "darkroom"
"""The actor recorded when an image goes live without a review."""
_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class SyncedResults:
    """How many images were found finished, by outcome."""

    live: int = 0
    candidates: int = 0
    failed: int = 0

    def __add__(self, other: "SyncedResults") -> "SyncedResults":
        """Return both together."""
        return SyncedResults(
            live=self.live + other.live,
            candidates=self.candidates + other.candidates,
            failed=self.failed + other.failed,
        )


def sync_results(database: Database, *, now: datetime, new_id: Callable[[], UUID]) -> SyncedResults:
    """Record every image whose job has ended; a catalog that is locked by a change is left for the next run."""
    with database.transaction() as tx:
        waiting = renders.finished_catalogs(tx)
    total = SyncedResults()
    for catalog_id in waiting:
        while (part := _candidates(database, catalog_id, now=now, new_id=new_id)) is not None:
            total += part
    return total


def _candidates(
    database: Database, catalog_id: UUID, *, now: datetime, new_id: Callable[[], UUID]
) -> SyncedResults | None:
    """Take in some images of one catalog in one transaction; None when there are none, or it is locked."""
    with database.transaction() as tx:
        if not catalogs.try_lock_only(tx, catalog_id):
            return None
        found = renders.finished(tx, catalog_id, limit=_AT_ONCE)
        if not found:
            return None
        renders.settle(tx, [each.id for each in found])
        renders.let_wait(tx, [each.id for each in found if each.is_odd and not each.needs_review])
        free = [each.id for each in found if each.has_image and not each.needs_review and not each.is_odd]
        live = go_live(
            tx, free, states=(RenderState.CANDIDATE,), actor=ACTOR, reason="no review", now=now, new_id=new_id
        )
        with_image = sum(each.has_image for each in found)
        return SyncedResults(live=len(live), candidates=with_image - len(live), failed=len(found) - with_image)


EXPORT_COLUMNS = ("sku", "file", "url", "sha256", "mime_type", "width", "height", "live_since")
REJECTION_COLUMNS = (
    "sku",
    "image",
    "rejected_at",
    "by",
    "reason",
    "prompt",
    "next_prompt",
    "state",
    "file",
    "url",
    "sha256",
)


def exported_rows(items: Iterable[LiveItem], store: Store) -> Iterator[dict[str, Any]]:
    """Yield each item as it is exported; ``file`` is the name in the store, ``url`` where that is."""
    for each in items:
        yield {
            "sku": each.sku,
            "file": each.path,
            "url": image_url(store, each.path),
            "sha256": each.sha256,
            "mime_type": each.mime_type,
            "width": each.width,
            "height": each.height,
            "live_since": each.live_since.astimezone(UTC).isoformat(),
        }


def exported_rejections(found: Iterable[Listed], store: Store) -> Iterator[dict[str, Any]]:
    """Yield each rejection as it is exported; ``state`` is the image's present state."""
    for each in found:
        yield {
            "sku": each.sku,
            "image": str(each.render_id),
            "rejected_at": each.at.astimezone(UTC).isoformat(),
            "by": each.by,
            "reason": each.reason,
            "prompt": each.prompt,
            "next_prompt": each.next_prompt,
            "state": each.state,
            "file": each.path,
            "url": image_url(store, each.path),
            "sha256": each.sha256,
        }


def exported_lines(
    found: Iterable[dict[str, Any]], form: ExportForm, columns: Sequence[str] = EXPORT_COLUMNS
) -> Iterator[str]:
    """Return the export piece by piece; the same rows give the same bytes."""
    return _csv(found, columns) if form is ExportForm.CSV else _json(found)


def _csv(found: Iterable[dict[str, Any]], columns: Sequence[str]) -> Iterator[str]:
    yield csv_line(columns, line_end="\n")
    for each in found:
        yield csv_line([each[name] for name in columns], line_end="\n")


def _json(found: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield "["
    for number, each in enumerate(found):
        yield ("," if number else "") + "\n" + json.dumps(each, ensure_ascii=False)
    yield "\n]\n"


def image_url(store: Store, path: str) -> str:
    """Return the address of a stored file: file:// for a folder, that of the bucket otherwise."""
    location = store.location(path)
    return location if "://" in location else Path(location).as_uri()
