"""`darkroom store`: which store the database knows, which one is there, and how to make that the one from now on."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import output, signing

if TYPE_CHECKING:
    from worker.cli.context import Context
    from worker.core.db.session import Database
    from worker.storage.queries.stores import StoreRow
    from worker.storage.store import Store


def show(as_json: output.AsJson = False) -> None:
    """Show the expected and the actual identity of the store, and whether it works.

    Ends with 1 when it cannot be used.
    """
    context, database, known = _known()
    found = _look(context, database, known)
    if as_json:
        output.print_json(found)
    else:
        _say(found)
    if found["problem"]:
        raise typer.Exit(1)


def adopt(
    yes: Annotated[
        bool, typer.Option("--yes", help="Adopt it; without this option, only show what would change.")
    ] = False,
    by: signing.ByOption = None,
    reason: signing.ReasonOption = None,
    as_json: output.AsJson = False,
) -> None:
    """Make what is at DARKROOM_STORE the account's store; the change is recorded.

    For a store that was replaced on purpose. Images and references of the store before stay where they are: what the
    database knows and this store lacks is listed by `darkroom doctor --verify-store`. Nodes follow by themselves.
    """
    from worker import wiring
    from worker.storage import store_binding

    context, database, known = _known()
    if yes:
        store_binding.adopt(wiring.store(context.settings), database.transaction, known, signing.author(by, reason))
        known = _known()[2]
    found = _look(context, database, known)
    if as_json:
        output.print_json(found | {"adopted": yes})
        return
    _say(found)
    if not yes:
        output.answers().print("Nothing was changed: --yes makes what is there the store from now on.")


def _known() -> "tuple[Context, Database, StoreRow]":
    from worker import wiring
    from worker.cli.context import resolve
    from worker.cli.errors import CliError
    from worker.storage.queries import stores

    context = resolve()
    database = wiring.database(context.settings, connections=1)
    with database.transaction() as tx:
        known = stores.of_account(tx, context.settings.account)
    if known is None:
        raise CliError(f"there is no account {context.settings.account!r} yet: the first node or batch makes it")
    return context, database, known


def _look(context: "Context", database: "Database", known: "StoreRow") -> dict[str, Any]:
    from worker import wiring
    from worker.storage.store import StoreUnavailable

    store = wiring.store(context.settings)
    problem = None
    try:
        there = store.marker()
        if known.identity is not None:
            wiring.store(context.settings, database).check()
    except StoreUnavailable as error:
        problem, there = str(error), _marker(store)
    return {
        "account": known.account,
        "place": store.place,
        "expected": None if known.identity is None else str(known.identity),
        "found": None if there is None else str(there),
        "adopted_at_place": known.place,
        "failed_since": None if known.failed_at is None else known.failed_at.isoformat(),
        "problem": problem,
    }


def _marker(store: "Store") -> Any:
    from worker.storage.store import StoreUnavailable

    try:
        return store.marker()
    except StoreUnavailable:
        return None


def _say(found: dict[str, Any]) -> None:
    lines = {
        "place": found["place"],
        "expected": found["expected"] or "none yet: the first use gives it an identity",
        "found": found["found"] or "no identity",
        "problem": found["problem"] or "none",
    }
    output.answers().print(output.grid({label: str(value) for label, value in lines.items()}))
