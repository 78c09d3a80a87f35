"""`darkroom store`, and `doctor --verify-store`: which store is known, which is there, and whether its files are."""

import json
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
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

    Exit status 1 if it cannot be used.
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
        output.answers().print("Nothing was changed: add --yes to adopt it.")


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
        raise CliError(f"there is no account {context.settings.account!r} yet: the first node or batch creates it")
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


if TYPE_CHECKING:
    from worker.storage.queries.stores import StoredFile
    from worker.storage.spool import SpoolFolder
    from worker.storage.store import Store
_AT_ONCE = 8
_AHEAD = 64
"""Files that wait for their turn: a list of a million would not fit."""
_SHOWN = 50


def verify(sample: int | None, *, as_json: bool) -> None:
    """Compare size and SHA-256 of what is stored with what was recorded; ends with 1 when something differs."""
    from rich.progress import Progress

    from worker import wiring
    from worker.cli.context import resolve
    from worker.storage.queries import stores

    context = resolve()
    database = wiring.database(context.settings, connections=2)
    store = wiring.store(context.settings, database)
    # A store that is not there has not lost every file: that is said once, as an error.
    store.ready()
    account = context.settings.account
    total = stores.count_files(database, account)
    if sample is None:
        wanted: Iterable[StoredFile] = stores.every_file(database, account)
    else:
        wanted = stores.sample_files(database, account, limit=sample)
        total = min(total, sample)
    with Progress(console=output.notes(), transient=True, disable=as_json) as progress:
        bar = progress.add_task("files", total=total)
        faults = _Faults(store.spool, is_shown=not as_json)
        for file, problem in _checked(store, wanted):
            progress.advance(bar)
            faults.add(file, problem)
    if as_json:
        answer = {"ok": not faults.count, "checked": faults.checked, "faulty": faults.count}
        output.print_json_with(answer, "faults", faults.all())
    else:
        faults.say()
    if faults.count:
        raise typer.Exit(1)


class _Faults:
    """What is missing or differs: on disk when it is much."""

    def __init__(self, spool: "SpoolFolder", *, is_shown: bool) -> None:
        self._file = spool.file(in_memory_bytes=4_000_000)
        self._is_shown = is_shown
        self.checked = self.count = 0

    def add(self, file: "StoredFile", problem: str | None) -> None:
        self.checked += 1
        if problem is None:
            return
        self.count += 1
        self._file.write(json.dumps({"path": file.path, "of": file.whose, "problem": problem}).encode() + b"\n")
        if self._is_shown and self.count <= _SHOWN:
            output.answers().print(f"{problem}: {file.path} ({file.whose})", markup=False)

    def all(self) -> Iterator[dict[str, Any]]:
        self._file.seek(0)
        yield from map(json.loads, self._file)

    def say(self) -> None:
        console = output.answers()
        if self.count > _SHOWN:
            console.print(f"... and {self.count - _SHOWN:,} more: --json has all of them", markup=False)
        files = output.plural(self.checked, "file")
        if self.count:
            words = f"{self.count:,} of {files} missing, different or in another store: restore or copy them, or render"
            words += " their jobs again"
        else:
            words = f"{files} read again, as recorded."
        console.print(words, markup=False)


def _checked(store: "Store", wanted: "Iterable[StoredFile]") -> "Iterator[tuple[StoredFile, str | None]]":
    """Read several at once, and yield them in their order."""
    waiting: deque[tuple[StoredFile, Future[str | None]]] = deque()
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="verify") as pool:
        try:
            for file in wanted:
                waiting.append((file, pool.submit(_problem, store, file)))
                if len(waiting) > _AHEAD:
                    first, found = waiting.popleft()
                    yield first, found.result()
            yield from ((file, found.result()) for file, found in waiting)
        finally:
            pool.shutdown(cancel_futures=True)


def _problem(store: "Store", file: "StoredFile") -> str | None:
    from worker.storage.store import NotStored

    try:
        size, sha256 = store.digest(file.path)
    except NotStored:
        is_elsewhere = file.store_id is not None and file.store_id != store.identity
        return f"in another store, {file.store_id}" if is_elsewhere else "missing"
    if size != file.size_bytes:
        return f"{size:,} bytes instead of {file.size_bytes:,}"
    return None if sha256 == file.sha256 else "other bytes"
