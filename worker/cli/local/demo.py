"""`darkroom demo`: the example manifest rendered from end to end, and everything stopped afterwards."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import output

if TYPE_CHECKING:
    from rich.console import Console

    from worker.batches.queries.overview import Overview
    from worker.cli.local.stack import LocalStack
    from worker.core.db.session import Database
    from worker.intake.prepare import Prepared
    from worker.intake.write import Receipt

_MANIFEST = Path("examples") / "catalog.jsonl"
_INTERRUPTED = 130


def demo(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With a key: do not ask before it spends.")] = False,
    web: Annotated[bool, typer.Option("--web/--no-web", help="Serve the HTTP API and the pages while it runs.")] = True,
) -> None:
    """Render the example manifest: in the free sandbox, or with a key for real after a question."""
    from worker.cli.local.interrupts import Stopped, stoppable
    from worker.cli.local.stack import LocalStack

    manifest = _manifest()
    console = output.answers()
    console.print("[bold]Darkroom[/] renders the example catalog from end to end.\n")

    def say(part: str, words: str) -> None:
        _say(console, part, words)

    try:
        with stoppable(), LocalStack(say, nodes=1, is_up=False, has_web=web) as stack:
            is_well = _run(stack, manifest, console, yes=yes)
    except Stopped:
        console.print("Interrupted; everything that was started has ended.")
        raise typer.Exit(_INTERRUPTED) from None
    raise typer.Exit(0 if is_well else 1)


def _run(stack: "LocalStack", manifest: Path, console: "Console", *, yes: bool) -> bool:
    """Return whether every good line has its image and the books are right."""
    from worker import wiring

    database = wiring.database(stack.context.settings, connections=1)
    receipt = _submit(stack, manifest, console, yes=yes)
    if receipt is None:
        return False
    stack.start_nodes()
    stack.start_web()
    console.print()
    found = _follow(stack, database, receipt, console)
    console.print()
    _show_results(stack, database, found, console)
    is_audited = _show_audit(database, console)
    console.print()
    return is_audited and found.is_done and found.lacking == 0


def _submit(stack: "LocalStack", manifest: Path, console: "Console", *, yes: bool) -> "Receipt | None":
    from worker import wiring
    from worker.cli.intake import manifests
    from worker.cli.intake.submit import write
    from worker.cli.spending import Consent, is_permitted
    from worker.core.rules.batch_request import BatchRequest

    context = stack.context
    store = wiring.store(context.settings, wiring.database(context.settings, connections=1))
    prepared = manifests.check(str(manifest), None, store=store, console=console)
    _show_bad_lines(prepared, manifest, console)
    what = output.plural(prepared.jobs, "image")
    if not is_permitted(context, what, prepared.credits, Consent(yes=yes), console=console):
        console.print("Nothing was spent.")
        return None
    return write(context, BatchRequest(name="demo", owner="demo"), prepared)


def _show_bad_lines(prepared: "Prepared", manifest: Path, console: "Console") -> None:
    from worker.cli.intake import manifests

    if prepared.faults:
        console.print(
            f"\n{output.plural(prepared.faults.lines, 'invalid line')} in {manifest.name}, left out at no cost:"
        )
        console.print(manifests.fault_table(prepared.faults))
        console.print()


def _follow(stack: "LocalStack", database: "Database", receipt: "Receipt", console: "Console") -> "Overview":
    from worker.cli import lookup
    from worker.cli.batches.progress import Progress
    from worker.cli.health import nodes

    with database.transaction() as tx:
        row = lookup.batch(tx, str(receipt.batch_id))
    return Progress(
        lambda: lookup.overview_of(database, row),
        console,
        supervise=stack.supervise,
        why_still=lambda: nodes.why_still(stack.context),
    ).follow()


def _show_results(stack: "LocalStack", database: "Database", found: "Overview", console: "Console") -> None:
    from worker.cli.batches import sheet_files
    from worker.cli.batches.sheet import file_name

    context = stack.context
    place = context.home / "sheets" / file_name(found.batch.name, str(found.batch.id))
    sheet_files.write(context, database, found, place)
    _say(console, "images", f"{context.settings.store_url.rstrip('/')}/{found.batch.id}")
    _say(console, "sheet", str(place))
    _say(console, "lines", f"darkroom results {found.batch.id} (while `darkroom up` runs)")
    console.print()
    console.print(_credits(found))
    console.print()


def _credits(found: "Overview") -> object:
    from worker.core.rules.states import JobState

    table = output.table(
        "credits", "held", "reserved", "spent", "images", numbers=("held", "reserved", "spent", "images")
    )
    images = found.jobs[JobState.SUCCEEDED]
    table.add_row(found.batch.name, *(f"{each:,}" for each in (found.held, found.reserved, found.spent, images)))
    return table


def _show_audit(database: "Database", console: "Console") -> bool:
    from worker.audit.verify import verify
    from worker.cli.audit.verify import last_line

    with database.transaction(is_snapshot=True) as tx:
        verification = verify(tx)
    console.print(last_line(verification), style="bold green" if verification.ok else "bold red", markup=False)
    return verification.ok


def _say(console: "Console", part: str, words: str) -> None:
    from rich.text import Text

    console.print(Text.assemble((f"{part:>10}  ", "bold"), words), soft_wrap=True)


def _manifest() -> Path:
    import worker
    from worker.cli.errors import CliError

    # A clone has the examples beside the package, and a wheel inside it.
    package = Path(worker.__path__[0]).resolve()
    found = next((place / _MANIFEST for place in (package.parent, package) if (place / _MANIFEST).exists()), None)
    if found is None:
        raise CliError(f"the example manifest {_MANIFEST} is missing: install Darkroom again")
    return found
