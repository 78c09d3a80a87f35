"""A batch as a contact sheet: its overview as the header, its jobs as cards."""

import os
from functools import partial
from pathlib import Path
from urllib.parse import quote

from worker import wiring
from worker.cli.context import Context
from worker.db import outcomes_view
from worker.db.outcomes_view import Outcome
from worker.db.overview import Overview
from worker.db.session import Database
from worker.media.store import NotStored, Store
from worker.sheet import Card, Header, write_sheet
from worker.sheet.paging import PER_PAGE


def write(context: Context, database: Database, found: Overview, to: Path, *, per_page: int = PER_PAGE) -> list[Path]:
    """The sheet is at ``to``, whole; gives its pages. Images that are no longer in the store are left blank."""
    store = wiring.store(context.settings, database)
    cards = (_card(each, store, to.absolute().parent) for each in outcomes_view.outcomes(database, found.batch.id))
    return write_sheet(to, _header(context, found), cards, per_page=per_page)


def _header(context: Context, found: Overview) -> Header:
    return Header(
        batch_id=str(found.batch.id),
        name=found.batch.name,
        owner=found.batch.owner,
        submitted_at=found.batch.created_at,
        made_at=wiring.clock(),
        counts=found.jobs,
        cap=found.batch.credit_cap,
        held=found.held,
        reserved=found.reserved,
        spent=found.spent,
        note="These images come from the sandbox: drawn, not rendered, and free." if context.is_play else "",
    )


def _card(found: Outcome, store: Store, folder: Path) -> Card:
    image = found.result
    return Card(
        line=found.line,
        key=found.key,
        prompt=found.prompt,
        state=found.state,
        image=None if image is None else partial(_content, store, image.path),
        href=None if image is None else _href(store.location(image.path), folder),
        width=None if image is None else image.width,
        height=None if image is None else image.height,
        image_size=_param(found, "image_size", "imageSize", "aspect_ratio"),
        output_format=_param(found, "output_format"),
        reference=_reference(found),
        reserved=found.reserved,
        final=found.final,
        provider_id=found.provider_id or "",
        not_as_ordered=", ".join(found.not_as_ordered),
        error=": ".join(filter(None, (found.error_code, found.error_message))),
    )


def _param(found: Outcome, *names: str) -> str:
    """Return the first of these params that the job's model has."""
    return next((str(found.params[name]) for name in names if name in found.params), "")


def _reference(found: Outcome) -> str:
    more = f" and {len(found.references) - 1} more" if len(found.references) > 1 else ""
    return f"{found.reference_name or ''}{more}"


def _content(store: Store, path: str) -> bytes | None:
    try:
        return store.read(path)
    except NotStored:
        return None


def _href(location: str, folder: Path) -> str:
    """Go the shortest way from the sheet, so that both can be moved together."""
    return location if "://" in location else quote(os.path.relpath(location, folder))
