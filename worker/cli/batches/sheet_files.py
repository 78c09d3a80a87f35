"""A batch as a contact sheet: its overview as the header, its jobs as cards."""

from pathlib import Path

from worker import wiring
from worker.batches.queries import results
from worker.batches.queries.overview import Overview
from worker.batches.queries.results import Outcome
from worker.cli.context import Context
from worker.contact_sheet import Card, Header, write_sheet
from worker.contact_sheet.originals import InStore, Originals
from worker.contact_sheet.page import PER_PAGE
from worker.core.db.session import Database


def write(
    context: Context,
    database: Database,
    found: Overview,
    to: Path,
    *,
    per_page: int = PER_PAGE,
    originals: Originals | None = None,
) -> list[Path]:
    """The sheet is at ``to``, whole; gives its pages. Images that are no longer in the store are left blank.

    Without ``originals`` its links lead to the store.
    """
    images = originals or InStore(wiring.store(context.settings, database), to)
    archive = wiring.archive(context.settings, database)
    cards = (_card(each, images) for each in results.outcomes(database, found.batch.id, archive))
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


def _card(found: Outcome, originals: Originals) -> Card:
    image = found.result
    original = None if image is None else originals.image(image.path)
    return Card(
        line=found.line,
        key=found.key,
        prompt=found.prompt,
        state=found.state,
        image=None if original is None else original.read,
        href=None if original is None else original.href,
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
