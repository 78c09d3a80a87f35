"""`darkroom catalog rollback`, `history`, `export`: what a shop shows, and what it showed."""

from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from worker.catalog.rules.catalog import ExportForm
from worker.cli import output, signing

if TYPE_CHECKING:
    from worker.catalog.queries.catalogs import CatalogRow
    from worker.catalog.queries.live import LiveChange
    from worker.catalog.queries.rejections import Listed
    from worker.cli.context import Context
    from worker.core.db.session import Database


def rollback(
    name: output.CatalogName,
    to: Annotated[
        str, typer.Option("--to", metavar="IMAGE|INSTANT", help="An image's id, or a time: 2026-11-22T08:00+01:00.")
    ],
    by: signing.DeciderOption,
    sku: Annotated[list[str] | None, typer.Option("--sku", help="Only this item; may be given again.")] = None,
    as_json: output.AsJson = False,
) -> None:
    """Show an older image again, or what all items showed at an earlier time. Spends nothing."""
    from worker import wiring
    from worker.catalog.publishing import CannotRollBack, roll_back
    from worker.cli import signing
    from worker.cli.errors import CliError

    context, database, catalog = opened(name)
    try:
        done = roll_back(
            database,
            wiring.store(context.settings, database),
            catalog.id,
            to=_target(to),
            skus=sku,
            by=signing.actor(by),
            now=wiring.clock(),
            new_id=wiring.new_id,
        )
    except CannotRollBack as error:
        raise CliError(f"nothing was changed: {error}") from error
    if as_json:
        output.print_json({"catalog": name, **{key: list(skus) for key, skus in _as_lists(done).items()}})
    else:
        output.answers().print(
            f"{output.plural(len(done.changed), 'item')} brought back, {len(done.unchanged):,} as they were,"
            f" {len(done.without):,} had no image then."
        )
    for each in done.lost:
        output.notes().print(f"refused: {each}: the store has lost that image", markup=False, style="yellow")
    if done.lost:
        raise typer.Exit(1)


def _as_lists(done: object) -> dict[str, list[str]]:
    return {each: list(getattr(done, each)) for each in ("changed", "unchanged", "without", "lost")}


def _target(text: str) -> "UUID | datetime":
    from worker.cli.errors import MISUSED, CliError

    try:
        return UUID(text)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise CliError(
            f"--to {text!r} is neither an image's id (`darkroom catalog history`) nor a time such as"
            " 2026-11-22T08:00:00+00:00",
            MISUSED,
        ) from error
    if found.tzinfo is None:
        raise CliError(f"--to {text!r} has no time zone: write it as {text}+00:00 for UTC", MISUSED)
    return found


def history(
    name: output.CatalogName,
    sku: Annotated[str, typer.Argument(metavar="SKU", help="The item.")],
    as_json: output.AsJson = False,
) -> None:
    """List every image of an item that was live or rejected, who decided it and why."""
    from worker.catalog.queries import live as queries_live
    from worker.catalog.queries import rejections as catalog_rejections
    from worker.cli.errors import CliError
    from worker.core.rules.fault import plain

    _, database, catalog = opened(name, or_removed=True)
    with database.transaction() as tx:
        shown = queries_live.history_of(tx, catalog.id, sku)
        rejected = catalog_rejections.of(tx, catalog.id, sku)
    if not (shown or rejected):
        raise CliError(f"no image of {plain(sku)!r} was ever live or rejected in {plain(name)!r}")
    found = sorted([*map(_live_line, shown), *map(_rejection_line, rejected)], key=itemgetter("at"))
    if as_json:
        for each in found:
            output.print_json({"sku": sku, **each})
        return
    table = output.table(
        "decided", "", "image", "by", "reason", "prompt", whole=("decided", "image"), details=("prompt", "image")
    )
    for each in found:
        at = datetime.fromisoformat(each["at"])
        event = "live now" if each["is_live"] else each["event"]
        table.add_row(f"{at:%Y-%m-%d %H:%M:%S}", event, each["image"], each["by"], each["reason"] or "", each["prompt"])
    output.answers().print(table)


def _live_line(each: "LiveChange") -> dict[str, Any]:
    return {
        "event": "live",
        "image": str(each.render_id),
        "at": each.from_at.isoformat(),
        "live_since": each.from_at.isoformat(),
        "by": each.actor,
        "reason": each.reason,
        "file": each.path,
        "sha256": each.sha256,
        "prompt": each.prompt,
        "is_live": each.is_live,
    }


def _rejection_line(each: "Listed") -> dict[str, Any]:
    return {
        "event": "rejected",
        "image": str(each.render_id),
        "at": each.at.isoformat(),
        "live_since": None,
        "by": each.by,
        "reason": each.reason,
        "file": each.path,
        "sha256": each.sha256,
        "prompt": each.prompt,
        "is_live": False,
    }


def export(
    name: output.CatalogName,
    live: Annotated[bool, typer.Option("--live", help="What is live.")] = False,
    rejected: Annotated[bool, typer.Option("--rejected", help="Every rejection: who, when and why.")] = False,
    form: Annotated[ExportForm, typer.Option("--format", help="How it is written.")] = ExportForm.CSV,
    to: Annotated[Path | None, typer.Option("-o", "--output", help="A file. [default: standard output]")] = None,
) -> None:
    """Write what is live, or every rejection, by SKU: file, address, SHA-256, and since when or why."""
    import sys

    from worker import wiring
    from worker.catalog import publishing
    from worker.catalog.queries import live as queries_live
    from worker.catalog.queries import rejections as catalog_rejections
    from worker.cli import signing
    from worker.cli.errors import MISUSED, CliError
    from worker.contact_sheet.template import write_whole

    if live is rejected:
        raise CliError(f"say what is to be exported: `darkroom catalog export {name} --live`, or --rejected", MISUSED)
    context, database, catalog = opened(name)
    store = wiring.store(context.settings, database)
    signing.record_export(database, f"catalog:{catalog.id}", "live images" if live else "rejections")
    if live:
        found = publishing.exported_rows(queries_live.live_now(database, catalog.id), store)
        pieces = publishing.exported_lines(found, form)
    else:
        rejections = publishing.exported_rejections(catalog_rejections.every(database, catalog.id), store)
        pieces = publishing.exported_lines(rejections, form, publishing.REJECTION_COLUMNS)
    if to is None:
        sys.stdout.writelines(pieces)
        return
    try:
        write_whole(to, pieces)
    except OSError as error:
        raise CliError(f"{to} cannot be written: {error.strerror or error}; choose another path with -o") from error


def opened(name: str, *, or_removed: bool = False) -> "tuple[Context, Database, CatalogRow]":
    """Return the catalog, with everything that has ended taken in; raise CliError when there is none of that name."""
    from worker.cli.catalog import lookup

    context, database = lookup.opened()
    with database.transaction() as tx:
        return context, database, lookup.catalog(tx, name, or_removed=or_removed)
