"""The images of a catalog that wait for a decision, as pages on which a person makes them."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from uuid import UUID

from worker.catalog import planning
from worker.catalog.queries import review
from worker.catalog.queries.catalogs import CatalogRow
from worker.catalog.queries.review import Candidate, Shown
from worker.catalog.rules.catalog import Reason
from worker.catalog.rules.decisions import REASON_MAX
from worker.contact_sheet import ReviewCard, ReviewHeader, write_review
from worker.contact_sheet.originals import Originals
from worker.core.db.session import Database
from worker.core.rules.models_catalogue import MODELS

PER_SHEET = 200
"""A browser shows so many images with ease, and remembers what is decided on them."""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A sheet that was written."""

    path: Path
    images: int
    decisions_file: str
    """The name under which a browser saves what is decided on it."""


def write_sheets(
    database: Database,
    originals: Originals,
    catalog: CatalogRow,
    to: Path,
    *,
    per_sheet: int = PER_SHEET,
    now: datetime,
    new_id: Callable[[], UUID],
    note: str = "",
) -> list[Sheet]:
    """Write contact sheets of the images that wait: one at ``to``, or several, numbered.

    Images that the store has lost are left blank, and those whose items have changed since are marked.
    """
    with database.transaction() as tx:
        count = review.count(tx, catalog.id)
        wanted = planning.current(tx, catalog)
    cards = _cards(database, originals, catalog.id, wanted)
    sheets = max(1, -(-count // per_sheet))
    written = []
    for number in range(1, sheets + 1):
        sheet = _sheet(catalog, to, number, sheets, images=min(per_sheet, count - (number - 1) * per_sheet), now=now)
        header = ReviewHeader(
            reason_max=REASON_MAX,
            catalog=catalog.name,
            sheet_id=str(new_id()),
            made_at=now,
            count=sheet.images,
            price=MODELS[catalog.recipe.model].credits,
            decisions_file=sheet.decisions_file,
            part=f"sheet {number} of {sheets}" if sheets > 1 else "",
            note=note,
        )
        # No more cards than the header says, also when more images come in meanwhile.
        write_review(sheet.path, header, islice(cards, sheet.images))
        written.append(sheet)
    return written


def _sheet(catalog: CatalogRow, to: Path, number: int, of: int, *, images: int, now: datetime) -> Sheet:
    """Name a sheet and its file of decisions; no two sheets have one name, whenever they are written."""
    suffix = "" if of == 1 else f"-{number}"
    return Sheet(
        path=to.with_name(f"{to.stem}{suffix}{to.suffix}"),
        images=images,
        decisions_file=f"decisions-{stem_of(catalog.name)}-{now:%Y%m%d-%H%M%S}{suffix}.json",
    )


def stem_of(name: str) -> str:
    """Return the catalog's name as files have it in theirs."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name)


def _cards(
    database: Database, originals: Originals, catalog_id: UUID, wanted: Mapping[str, str]
) -> Iterator[ReviewCard]:
    for each in review.candidates(database, catalog_id):
        yield _card(each, originals, is_stale=wanted.get(each.sku) != each.fingerprint)


def _card(each: Candidate, originals: Originals, *, is_stale: bool) -> ReviewCard:
    live = each.live
    new, new_href = _image(originals, each.new)
    old, old_href = (None, None) if live is None else _image(originals, live)
    return ReviewCard(
        sku=each.sku,
        render_id=str(each.render_id),
        prompt=each.new.parts["prompt"],
        reasons=reasons(each),
        width=each.new.width,
        height=each.new.height,
        new=new,
        new_href=new_href,
        old=old,
        old_prompt=None if live is None else live.parts["prompt"],
        old_href=old_href,
        live_since=each.live_since,
        is_stale=is_stale,
        not_as_ordered=", ".join(each.not_as_ordered),
        is_refused=each.is_refused,
        rejected_before=each.rejected_before,
    )


_PARTS = {
    Reason.PROMPT: "prompt",
    Reason.REFERENCE: "reference",
    Reason.PARAMS: "params",
    Reason.MODEL: "model",
}


def reasons(each: Candidate) -> list[str]:
    """Return what differs between the two images; without a difference, the image was requested once more."""
    live = each.live
    if live is None:
        return [Reason.NEW]
    found = [reason for reason, part in _PARTS.items() if live.parts[part] != each.new.parts[part]]
    return [str(reason) for reason in found] or ["once more"]


def _image(originals: Originals, image: Shown) -> tuple[bytes | None, str]:
    """Read an image; a lost one keeps its address, by which the page tells it from none."""
    found = originals.image(image.path)
    return found.read(), found.href
