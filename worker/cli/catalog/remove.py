"""`darkroom catalog remove`: a catalog is taken off the list; its images and its history stay on record."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import output, signing
from worker.cli.catalog.arguments import CatalogName

if TYPE_CHECKING:
    from worker.catalog.removing import Removal


def remove(
    name: CatalogName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    by: signing.ByOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Remove a catalog and refuse its open plans. Images, history and ledger stay on record."""
    from worker import wiring
    from worker.catalog import removing
    from worker.cli.catalog import lookup
    from worker.cli.errors import CliError

    _, database = lookup.opened()
    with database.transaction() as tx:
        found = lookup.catalog(tx, name)
    try:
        if not yes:
            _ask(removing.preview(database, found.id, name))
        done = removing.remove(database, found.id, name, by=signing.actor(by), now=wiring.clock())
    except removing.CatalogInUse as error:
        raise CliError(str(error)) from error
    if as_json:
        output.print_json({"catalog": name, "removed": True, "items": done.standing.items, "refused_plans": done.plans})
        return
    output.answers().print(
        f"catalog {name} is removed: {_said(done)}. `darkroom catalog import` under its name brings it back.",
        markup=False,
    )


def _ask(effect: "Removal") -> None:
    """Ask a person at a terminal; raise CliError without one, and when the answer is no."""
    from worker.cli.errors import MISUSED, CliError

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise CliError(f"catalog {effect.name} was not removed ({_said(effect)}): add --yes to remove it", MISUSED)
    output.notes().print(f"Remove catalog {effect.name}: {_said(effect)}.", markup=False)
    if not typer.confirm("Remove it?", default=False, err=True):
        raise CliError("nothing was changed")


def _said(effect: "Removal") -> str:
    standing = effect.standing
    parts = [output.plural(standing.items, "item"), f"{standing.live:,} of them live"]
    if standing.candidates:
        parts.append(f"{standing.candidates:,} waiting for review")
    if effect.plans:
        parts.append(f"{output.plural(effect.plans, 'open plan')} refused")
    return ", ".join(parts)
