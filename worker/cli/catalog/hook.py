"""`darkroom catalog hook`: who is told when items of a catalog go live."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import output
from worker.cli.catalog.arguments import CatalogName
from worker.cli.catalog.review import opened

if TYPE_CHECKING:
    from worker.catalog.queries.hooks import HookRow


def add(
    name: CatalogName,
    command: Annotated[
        str | None, typer.Option("--command", help="A command that receives the message as JSON on its standard input.")
    ] = None,
    post: Annotated[
        str | None, typer.Option("--post", metavar="URL", help="A URL that receives the message as a POST.")
    ] = None,
    secret_file: Annotated[
        Path | None, typer.Option(help="A file with the secret that a POST is signed with, 16 characters or more.")
    ] = None,
    as_json: output.AsJson = False,
) -> None:
    """Add a hook: a command or URL that is called when items go live; retried for a week."""
    from worker import wiring
    from worker.catalog import hooks as telling
    from worker.catalog.queries import hooks
    from worker.catalog.rules.hook import HookKind
    from worker.cli.errors import MISUSED, CliError

    if (command is None) == (post is None):
        raise CliError("give one of --command and --post", MISUSED)
    kind, target = (HookKind.COMMAND, command) if command is not None else (HookKind.POST, post)
    secret = _secret(secret_file) if kind is HookKind.POST else None
    try:
        telling.check(kind, target or "", secret)
    except telling.BadHook as error:
        raise CliError(f"the hook was not added: {error}", MISUSED) from error
    _, database, catalog = opened(name)
    hook_id = wiring.new_id()
    with database.transaction() as tx:
        hooks.add(
            tx,
            hook_id=hook_id,
            catalog_id=catalog.id,
            kind=kind,
            target=target or "",
            secret=secret,
            now=wiring.clock(),
        )
    if as_json:
        output.print_json({"hook": str(hook_id), "catalog": name, "kind": kind.value, "target": target})
    else:
        output.answers().print(f"hook {hook_id}", markup=False)


def list_(name: CatalogName, as_json: output.AsJson = False) -> None:
    """List the hooks of a catalog, with their pending deliveries."""
    from worker.catalog.queries import hooks

    _, database, catalog = opened(name)
    with database.transaction() as tx:
        found = hooks.of(tx, catalog.id)
    if as_json:
        output.print_json([{"hook": str(each.id), **_shown(each)} for each in found])
        return
    table = output.table(
        "hook", "kind", "target", "delivered", "waiting", "given up", "last error",
        numbers=("delivered", "waiting", "given up"), whole=("hook",), details=("last error", "hook"),
    )  # fmt: skip
    for each in found:
        counts = (f"{each.delivered:,}", f"{each.waiting:,}", f"{each.given_up:,}")
        table.add_row(str(each.id), each.kind.value, each.target, *counts, each.last_error or "")
    output.answers().print(table)


def remove(
    name: CatalogName,
    hook: Annotated[str, typer.Argument(metavar="HOOK", help="Its id.")],
    as_json: output.AsJson = False,
) -> None:
    """Remove a hook and drop its pending deliveries."""
    from worker import wiring
    from worker.catalog.queries import hooks
    from worker.cli.errors import CliError
    from worker.core.rules.fault import plain

    _, database, catalog = opened(name)
    with database.transaction() as tx:
        found = next((each for each in hooks.of(tx, catalog.id) if str(each.id) == hook), None)
        if found is None:
            raise CliError(f"{plain(name)} has no hook {plain(hook)}: `darkroom catalog hook list {name}` shows all")
        dropped = hooks.remove(tx, found.id, now=wiring.clock())
    if as_json:
        output.print_json({"hook": hook, "dropped": dropped})
    else:
        output.answers().print(f"removed; {output.plural(dropped, 'message')} will not be delivered")


def _shown(each: "HookRow") -> dict[str, object]:
    counts = {"delivered": each.delivered, "waiting": each.waiting, "given_up": each.given_up}
    told = {"kind": each.kind.value, "target": each.target, "created_at": each.created_at.isoformat()}
    return {**told, **counts, "last_error": each.last_error}


def _secret(file: Path | None) -> str | None:
    from worker.cli.errors import CliError

    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"{file} cannot be read: {error}") from error
