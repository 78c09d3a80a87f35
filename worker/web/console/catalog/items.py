"""A catalog's items and recipe: imported from a file, what that changed, older images shown again, and its removal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO, cast
from urllib.parse import quote, urlencode
from uuid import UUID

from starlette.responses import Response, StreamingResponse

from worker.catalog import decisions, importing, publishing
from worker.catalog.importing import RecipeFaulty, TooManyRemoved
from worker.catalog.items import ItemsRefused, prepare
from worker.catalog.publishing import CannotRollBack
from worker.catalog.queries import catalogs, live, rejections
from worker.catalog.queries.catalogs import CatalogRow
from worker.catalog.rules import recipe as recipes
from worker.catalog.rules.catalog import ExportForm
from worker.catalog.rules.decisions import Decision, Verdict
from worker.core.db import changes
from worker.core.rules.fault import Fault, UnfitError
from worker.intake.manifest import Form, ManifestError
from worker.intake.reference_store import ReferenceStore
from worker.storage.fetch.budget import FetchBounds, FetchBudget
from worker.web.api.bodies import Upload
from worker.web.api.operations import Call, not_found
from worker.web.console import page
from worker.web.console.fields import listed
from worker.web.console.page import Visit
from worker.web.problems import Problem

_SHOWN = 50
_START = 'prompt = "A {{ name }} on a white table"\nreview = "required"\n'
"""What the recipe of a new catalog begins with."""


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """What hinders an import; nothing was changed."""

    said: str
    faults: tuple[Fault, ...] = ()


def show(visit: Visit) -> Response:
    """Show the form that imports a catalog; one that there is not yet has a recipe to begin with."""
    name = visit.request.path_params["name"]
    with visit.context.database.transaction() as tx:
        found = None if "\0" in name else catalogs.by_name(tx, name)
    return _form(visit, name, _START if found is None else recipes.as_toml(found.recipe), is_new=found is None)


def begin(visit: Visit) -> Response:
    """Lead to the form of a catalog by its name."""
    try:
        name = importing.checked_name(visit.asked("name"))
    except UnfitError as unfit:
        raise Problem(422, "request_invalid", f"The catalog's name {unfit.reason}.") from None
    return page.redirect(visit.request, f"/catalogs/{quote(name, safe='')}/import")


def take(visit: Visit, upload: Upload) -> Response:
    """Replace the items with those of the file, by the recipe of the form, and show what that changed."""
    context, name = visit.context, visit.request.path_params["name"]
    toml = upload.batch.replace(b"\r\n", b"\n")
    extra = listed(upload.fields.get("allow_extra", b"").decode("utf-8", "replace"))
    settings = context.settings
    bounds = FetchBounds(
        time=settings.references_timeout, count=settings.references_count, size_bytes=settings.references_bytes
    )
    try:
        checked = importing.checked_name(name)
        wanted = importing.recipe_of(toml, "the recipe")
        rows = importing.from_file(_lines(upload), form=_form_of(upload), sku=wanted.sku)
        reference_store = ReferenceStore(context.store, budget=FetchBudget(bounds))
        items = prepare(rows, wanted, base=upload.files, reference_store=reference_store, extra=extra)
        done = importing.import_items(
            context.database,
            checked,
            wanted,
            items,
            reference_store.facts.values(),
            now=context.clock(),
            new_id=context.new_id,
            may_remove_many=visit.asked("remove_many") == "1",
        )
    except UnfitError as unfit:
        return _wrong(visit, name, toml, Wrong(said=f"The catalog's name {unfit.reason}."), extra)
    except ItemsRefused as refused:
        return _wrong(visit, name, toml, Wrong(said="Some rows cannot be items.", faults=refused.faults), extra)
    except (RecipeFaulty, ManifestError, TooManyRemoved) as error:
        return _wrong(visit, name, toml, Wrong(said=str(error)), extra)
    with context.database.transaction() as tx:
        merge = done.merge
        fates = {"added": merge.added, "changed": merge.changed, "back": merge.returned, "removed": merge.removed}
        what = ", ".join(f"{len(skus)} {fate}" for fate, skus in fates.items())
        recipe = ", a new recipe" if done.has_new_recipe else ""
        by = context.author(visit.who)
        changes.record(tx, by, f"catalog:{done.catalog_id}", "imported", before=None, after=f"{what}{recipe}")
    return visit.render("catalog/imported.html", catalog=checked, done=done, fates=fates, shown=_SHOWN)


def _lines(upload: Upload) -> BinaryIO:
    if not upload.has_manifest:
        raise Problem(422, "part_missing", "Choose the file with the items.")
    upload.expect_unpacked()
    return cast("BinaryIO", upload.manifest)


def _form_of(upload: Upload) -> Form | None:
    return Form.CSV if upload.manifest_type == "text/csv" else None


def _wrong(visit: Visit, name: str, toml: bytes, wrong: Wrong, extra: list[str]) -> Response:
    return _form(visit, name, toml.decode("utf-8", "replace"), wrong=wrong, extra=extra)


def _form(
    visit: Visit,
    name: str,
    toml: str,
    *,
    is_new: bool = False,
    wrong: Wrong | None = None,
    extra: Sequence[str] = (),
) -> Response:
    return visit.render(
        "catalog/import.html",
        status=200 if wrong is None else 422,
        catalog=name,
        toml=toml,
        is_new=is_new,
        wrong=wrong,
        extra=", ".join(extra),
        shown=_SHOWN,
    )


def history(visit: Visit) -> Response:
    """Show every image of an item that was live or rejected, and the images that may be shown again."""
    catalog, sku = _catalog(visit), visit.asked("sku")
    with visit.context.database.transaction() as tx:
        shown = live.history_of(tx, catalog.id, sku) if sku else []
        rejected = rejections.of(tx, catalog.id, sku) if sku else []
    return visit.render(
        "catalog/history.html",
        catalog=catalog,
        sku=sku,
        shown=sorted(shown, key=lambda each: each.from_at, reverse=True),
        rejected=sorted(rejected, key=lambda each: each.at, reverse=True),
        did=visit.asked("did"),
    )


def roll_back(visit: Visit, fields: Mapping[str, str]) -> Response:
    """Show an older image of an item again, or what all items showed at an earlier time; nothing is spent."""
    catalog, by, sku = _catalog(visit), visit.context.author(visit.who), fields.get("sku", "")
    try:
        done = publishing.roll_back(
            visit.context.database,
            visit.context.store,
            catalog.id,
            to=_target(fields.get("to", "")),
            skus=[sku] if sku else None,
            by=by.actor,
            now=by.now,
            new_id=by.new_id,
        )
    except CannotRollBack as error:
        raise Problem(409, error.error_code, f"Nothing was changed: {error}.") from None
    did = f"{len(done.changed)} brought back, {len(done.unchanged)} as they were, {len(done.without)} had none then"
    if done.lost:
        did += f", refused: the store has lost the image of {', '.join(done.lost[:_SHOWN])}"
    query = {"sku": sku, "did": did}
    return page.redirect(visit.request, f"/catalogs/{quote(catalog.name, safe='')}/history?{urlencode(query)}")


def accept(visit: Visit, fields: Mapping[str, str]) -> Response:
    """Accept an item's image that was rejected, as `darkroom catalog decide --accept` does."""
    catalog, by, sku = _catalog(visit), visit.context.author(visit.who), fields.get("sku", "")
    with visit.context.database.transaction() as tx:
        found = rejections.named(tx, catalog.id, [sku]) if sku else {}
    if sku not in found:
        raise Problem(409, "conflict", "Nothing was changed: no image of this item was rejected, and none waits.")
    decision = Decision(sku=sku, render_id=found[sku][1], verdict=Verdict.ACCEPT, said_at=by.now)
    database, store = visit.context.database, visit.context.store
    effect = decisions.decide(database, store, catalog.id, [decision], by=by.actor, now=by.now, new_id=by.new_id)
    if effect.refused:
        raise Problem(409, "decision_refused", f"Nothing was changed: {effect.refused[0].reason}.")
    query = {"sku": sku, "did": "the image is live" if effect.accepted else "it was live already"}
    return page.redirect(visit.request, f"/catalogs/{quote(catalog.name, safe='')}/history?{urlencode(query)}")


def remove(visit: Visit, fields: Mapping[str, str]) -> Response:  # noqa: ARG001 - the form has no fields
    """Take a catalog off the list and refuse its open plans; images, history and ledger stay."""
    catalog, by = _catalog(visit), visit.context.author(visit.who)
    importing.remove(visit.context.database, catalog.id, catalog.name, by=by.actor, now=by.now)
    return page.redirect(visit.request, "/catalogs?did=removed")


async def export_live(call: Call) -> Response:
    """Return what is live as a table, as ``darkroom catalog export --live`` does, noted in the log of changes."""
    return await call.in_thread(lambda: _exported(call, is_live=True))


async def export_rejected(call: Call) -> Response:
    """Return every rejection as a table, noted in the log of changes."""
    return await call.in_thread(lambda: _exported(call, is_live=False))


def _exported(call: Call, *, is_live: bool) -> Response:
    name, database, store = call.request.path_params["name"], call.database, call.context.store
    with database.transaction() as tx:
        catalog = catalogs.by_name(tx, name)
        if catalog is None:
            raise not_found("catalog")
        what = "live images" if is_live else "rejections"
        changes.record_export(tx, call.author(), f"catalog:{catalog.id}", what)
    if is_live:
        lines = publishing.exported_lines(
            publishing.exported_rows(live.live_now(database, catalog.id), store), ExportForm.CSV
        )
    else:
        found = publishing.exported_rejections(rejections.every(database, catalog.id), store)
        lines = publishing.exported_lines(found, ExportForm.CSV, publishing.REJECTION_COLUMNS)
    headers = {"Content-Disposition": f'attachment; filename="{"live" if is_live else "rejected"}.csv"'}
    return StreamingResponse(lines, headers=headers, media_type="text/csv; charset=utf-8")


def _target(text: str) -> UUID | datetime:
    try:
        return UUID(text)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Problem(422, "request_invalid", "Say which image, or which time, such as 2026-11-22T08:00.") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _catalog(visit: Visit) -> CatalogRow:
    name = visit.request.path_params["name"]
    with visit.context.database.transaction() as tx:
        found = None if "\0" in name else catalogs.by_name(tx, name)
    if found is None:
        raise not_found("catalog")
    return found
