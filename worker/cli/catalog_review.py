"""`darkroom catalog rollback`, `history`, `export`: what a shop shows, and what it showed."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from worker.catalog.export import ExportForm
from worker.cli import output
from worker.cli.catalog_names import By, CatalogName

if TYPE_CHECKING:
    from worker.cli.context import Context
    from worker.db.catalogs import CatalogRow
    from worker.db.session import Database


def rollback(
    name: CatalogName,
    to: Annotated[
        str, typer.Option("--to", metavar="IMAGE|INSTANT", help="An image's id, or a time: 2026-11-22T08:00+01:00.")
    ],
    by: By,
    sku: Annotated[list[str] | None, typer.Option("--sku", help="Only this item; may be given again.")] = None,
    as_json: output.AsJson = False,
) -> None:
    """Show an older image again, or what all items showed at an earlier time. Spends nothing."""
    from worker import wiring
    from worker.catalog.rollback import CannotRollBack, roll_back
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
    name: CatalogName,
    sku: Annotated[str, typer.Argument(metavar="SKU", help="The item.")],
    as_json: output.AsJson = False,
) -> None:
    """List every image that was live for an item, and who decided it."""
    from worker.cli.errors import CliError
    from worker.db import catalog_history
    from worker.domain.fault import plain

    _, database, catalog = opened(name, or_removed=True)
    with database.transaction() as tx:
        found = catalog_history.of(tx, catalog.id, sku)
    if not found:
        raise CliError(f"no image of {plain(sku)!r} was ever live in {plain(name)!r}")
    if as_json:
        for each in found:
            output.print_json(
                {
                    "sku": sku,
                    "image": str(each.render_id),
                    "live_since": each.from_at.isoformat(),
                    "by": each.actor,
                    "reason": each.reason,
                    "file": each.path,
                    "sha256": each.sha256,
                    "prompt": each.prompt,
                    "is_live": each.is_live,
                }
            )
        return
    table = output.table(
        "live since", "image", "by", "reason", "prompt", whole=("live since", "image"), details=("prompt", "image")
    )
    for each in found:
        mark = " (live)" if each.is_live else ""
        since = f"{each.from_at:%Y-%m-%d %H:%M:%S}{mark}"
        table.add_row(since, str(each.render_id), each.actor, each.reason, each.prompt)
    output.answers().print(table)


def export(
    name: CatalogName,
    live: Annotated[bool, typer.Option("--live", help="What is live.")] = False,
    form: Annotated[ExportForm, typer.Option("--format", help="How it is written.")] = ExportForm.CSV,
    to: Annotated[Path | None, typer.Option("-o", "--output", help="A file. [default: standard output]")] = None,
) -> None:
    """Write what is live, by SKU: file, address, SHA-256, pixels, and since when."""
    import sys

    from worker import wiring
    from worker.catalog import export as exporting
    from worker.cli.errors import MISUSED, CliError
    from worker.db import catalog_history
    from worker.sheet.template import write_whole

    if not live:
        raise CliError(f"say what is to be exported: `darkroom catalog export {name} --live`", MISUSED)
    context, database, catalog = opened(name)
    found = exporting.rows(catalog_history.live(database, catalog.id), wiring.store(context.settings, database))
    pieces = exporting.lines(found, form)
    if to is None:
        sys.stdout.writelines(pieces)
        return
    try:
        write_whole(to, pieces)
    except OSError as error:
        raise CliError(f"{to} cannot be written: {error.strerror or error}; name another place with -o") from error


def opened(name: str, *, or_removed: bool = False) -> "tuple[Context, Database, CatalogRow]":
    """Return the catalog, with everything that has ended taken in; raise CliError when there is none of that name."""
    from worker.cli import catalog_lookup

    context, database = catalog_lookup.opened()
    with database.transaction() as tx:
        return context, database, catalog_lookup.catalog(tx, name, or_removed=or_removed)
