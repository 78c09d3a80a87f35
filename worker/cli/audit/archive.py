"""`darkroom archive`: move ended batches into the store, and list what was moved."""

from collections import Counter
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import output

if TYPE_CHECKING:
    from worker.archive.queries.archived import ArchivedBatch
    from worker.archive.queries.candidates import Candidate
    from worker.core.db.session import Database
    from worker.settings import Settings

_LISTED = 50


def archive(
    before: Annotated[
        str | None,
        typer.Option("--before", metavar="DAY", help="Batches whose last job ended before this day, UTC."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be archived, and what not.")] = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Archive at most this many batches.")] = None,
    list_: Annotated[bool, typer.Option("--list", help=f"List the {_LISTED} batches that were archived last.")] = False,
    as_json: output.AsJson = False,
) -> None:
    """Move the rows of ended batches into the store as Parquet; reports and proofs read them back.

    A batch moves as a whole, once nothing of it can change: each file is read back and compared before a row is
    removed. It may be stopped at any time; the next run goes on.
    """
    from worker import wiring
    from worker.cli.audit.reports import day
    from worker.cli.context import resolve
    from worker.cli.errors import MISUSED, CliError

    first = day("--before", before)
    if list_ == (first is not None):
        raise CliError("say --before DAY to archive, or --list to see what is archived", MISUSED)
    settings = resolve().settings
    database = wiring.database(settings, connections=2)
    if first is None:
        _print_list(database, as_json=as_json)
        return
    _run(settings, database, datetime.combine(first, time.min, UTC), dry_run=dry_run, limit=limit, as_json=as_json)


def _run(
    settings: "Settings",
    database: "Database",
    before: datetime,
    *,
    dry_run: bool,
    limit: int | None,
    as_json: bool,
) -> None:
    from worker import wiring
    from worker.archive import choosing, parquet
    from worker.audit import sealing

    finished = []
    if dry_run:
        found = choosing.preview(database, before=before)
    else:
        parquet.require()
        store = wiring.store(settings, database)
        store.ready()
        finished = choosing.finish(database, store)
        sealing.seal(database, now=wiring.clock())
        found = choosing.run(database, store, before=before, limit=limit)
    if finished and not as_json:
        output.notes().print(f"{_batches(len(finished))} of a run before: the rows are removed now.", markup=False)
    looked_at = [_shown(each, dry_run=dry_run, is_quiet=as_json) for each in found]
    kept = Counter(each.obstacle for each in looked_at if each.obstacle is not None)
    done = [each for each in looked_at if each.obstacle is None]
    if as_json:
        output.print_json(
            {
                "dry_run": dry_run,
                "archived": [str(each.batch_id) for each in done],
                "jobs": sum(each.jobs for each in done),
                "kept": {obstacle.value: count for obstacle, count in sorted(kept.items())},
                "finished": [str(each) for each in finished],
            }
        )
        return
    console = output.answers()
    verb = "would be archived" if dry_run else "archived"
    jobs = output.plural(sum(each.jobs for each in done), "job")
    console.print(f"{_batches(len(done))} with {jobs} {verb}.", markup=False)
    for obstacle, count in sorted(kept.items()):
        console.print(f"{_batches(count)} kept, {obstacle.reason}: {obstacle.next_step}.", markup=False)


def _batches(count: int) -> str:
    return "1 batch" if count == 1 else f"{count:,} batches"


def _shown(found: "Candidate", *, dry_run: bool, is_quiet: bool) -> "Candidate":
    """Say what came of a batch as soon as it is known."""
    if not is_quiet:
        done = "would be archived" if dry_run else "archived"
        what = done if found.obstacle is None else f"kept, {found.obstacle.reason}"
        output.notes().print(f"{found.batch_id}  {found.name} ({found.owner}): {what}", markup=False)
    return found


def _print_list(database: "Database", *, as_json: bool) -> None:
    from worker.archive.queries import archived

    with database.transaction() as tx:
        found = archived.newest(tx, limit=_LISTED)
    if as_json:
        output.print_json({"batches": [_as_json(each) for each in found]})
        return
    if not found:
        output.answers().print("No batch is archived: `darkroom archive --before DAY` archives.", markup=False)
        return
    numbers = ("jobs", "spent", "rows", "bytes", "files")
    table = output.table("archived at", "batch", "name", "owner", *numbers, numbers=numbers)
    for each in found:
        counts = (sum(each.jobs.values()), each.spent, each.rows, each.size_bytes, each.files)
        at = f"{each.archived_at:%Y-%m-%d %H:%M}"
        table.add_row(at, str(each.batch_id), each.name, each.owner, *(f"{count:,}" for count in counts))
    output.answers().print(table)


def _as_json(found: "ArchivedBatch") -> dict[str, Any]:
    return {
        "batch": str(found.batch_id),
        "name": found.name,
        "owner": found.owner,
        "archived_at": found.archived_at.isoformat(),
        "removed_at": None if found.removed_at is None else found.removed_at.isoformat(),
        "jobs": dict(found.jobs),
        "spent": found.spent,
        "entries": found.entries,
        "rows": found.rows,
        "bytes": found.size_bytes,
        "files": found.files,
    }
